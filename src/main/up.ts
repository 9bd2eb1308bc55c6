import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { startApi } from '../api/server.ts'
import { makeLocalCloud } from '../clouds/local/local.ts'
import { ensureFirstAdmin } from '../commands/operators.ts'
import { startLoops } from '../control/loops.ts'
import { tokenPrefixes } from '../core/tokens.ts'
import { version } from '../core/version.ts'
import { sha256 } from '../lib/chance.ts'
import { systemClock } from '../lib/clock.ts'
import { keepProcess } from '../lib/kept-process.ts'
import { type Log, makeLog } from '../lib/log.ts'
import { makeVault } from '../lib/vault.ts'
import { chooseDatabase } from '../store/choose.ts'
import { type Connection, openStore, type Store } from '../store/database.ts'
import { startEmbedded } from '../store/embedded.ts'
import { ensureInstall } from '../store/install.ts'
import { buildAgent } from './build.ts'
import {
  type Config,
  dataDirOf,
  priceOf,
  projectRoot,
  readConfig,
  refuseUnlessLoopback,
  secretFile,
  secretKey,
  settingsOf,
} from './config.ts'
import { freePort } from './ports.ts'

export interface UpOptions {
  readonly data?: string
  readonly config?: string
  readonly port?: number
  readonly gatewayPort?: number
  /** False where another process on this machine already serves the gateway. */
  readonly gateway?: boolean
  readonly say: (line: string) => void
}

export interface Up {
  readonly url: string
  readonly gatewayUrl: string
  /** Only when the first admin was made just now. */
  readonly adminToken: string | null
  readonly install: string
  stop(): Promise<void>
}

/** Starts the control plane: database, tables, API, loops, gateway; in this order, and stops them in the reverse one. */
export async function up(options: UpOptions): Promise<Up> {
  const dataDir = dataDirOf(options.data)
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const config = readConfig(options.config ?? process.env.FLIGHTDECK_CONFIG)
  const log = makeLog('control')
  refuseUnlessLoopback(config.listen.host)
  refuseUnlessLoopback(config.gateway.host)
  options.say(`flightdeck ${version}: data in ${dataDir}`)
  const { store, kind, stopDatabase } = await openDatabase(dataDir, config, log, options.say)
  const vault = makeVault(secretKey(process.env, dataDir))
  const install = await ensureInstall(store.db, vault.check, systemClock.now())
  const settings = settingsOf(config)
  const deps = { store, clock: systemClock, settings, vault }
  const adminToken = await ensureFirstAdmin(deps)
  const agent = await agentFiles()
  const gatewayToken = secretFile(
    join(dataDir, 'gateway.token'),
    () => tokenPrefixes.gateway + randomBytes(32).toString('base64url'),
  )

  const ports = await keptPorts(dataDir, options, config)
  const api = await startApi({
    ...deps,
    log,
    listen: { host: config.listen.host, port: ports.control },
    gatewayTokenHash: sha256(gatewayToken),
    agentDir: join(projectRoot, 'dist', 'agent'),
    databaseKind: kind,
  })
  const local = makeLocalCloud({
    clock: systemClock,
    install: install.id,
    folder: config.local.folder ?? join(dataDir, 'local'),
    controlUrl: api.url,
    ...agent,
    nodeBin: process.execPath,
    pricePerHourMicroUsd: priceOf(config),
    maxMachines: config.local.maxMachines,
    env: config.local.env,
    loadLimitMs: config.local.loadLimitS * 1_000,
    drainLimitMs: config.local.drainLimitS * 1_000,
    endGraceMs: settings.engineStopGraceMs + 10_000,
  })
  const clouds = new Map([[local.name, local]])
  // The same name after a restart: what this server had claimed in its earlier life is free at once.
  const server = secretFile(join(dataDir, 'server-name'), () => `${hostname()}-${randomBytes(3).toString('hex')}`)
  const controlDeps = {
    db: store.db,
    clouds,
    clock: systemClock,
    log,
    settings,
    vault,
    install: install.id,
    startedAt: systemClock.now(),
  }
  const loops = await startLoops(store, controlDeps, { server })
  const gatewayUrl = `http://${config.gateway.host}:${ports.gateway}`
  const gateway = options.gateway === false ? null : startGateway(dataDir, api.url, gatewayUrl, log)
  if (adminToken)
    writeFileSync(join(dataDir, 'cli.json'), JSON.stringify({ url: api.url, token: adminToken }), { mode: 0o600 })
  sayWhereToGo(options.say, { dataDir, url: api.url, gatewayUrl, adminToken })
  return {
    url: api.url,
    gatewayUrl,
    adminToken,
    install: install.id,
    async stop() {
      await loops.stop()
      await gateway?.stop()
      await api.close()
      await store.close()
      await stopDatabase()
    },
  }
}

async function openDatabase(dataDir: string, config: Config, log: Log, say: (line: string) => void) {
  const choice = chooseDatabase(process.env, dataDir)
  say(choice.explanation)
  let connection: Connection
  let stopDatabase: () => Promise<void> = async () => undefined
  if (choice.kind === 'url') connection = { url: choice.url }
  else {
    const embedded = await startEmbedded({ dataDir: choice.dataDir, log })
    connection = embedded.connection
    stopDatabase = () => embedded.stop()
  }
  const store: Store = await openStore(connection, config.poolSize)
  const kind: 'embedded' | 'given' = choice.kind === 'url' ? 'given' : 'embedded'
  return { store, kind, stopDatabase }
}

async function agentFiles(): Promise<{ agentFile: string; loopFile: string }> {
  const built = await buildAgent(projectRoot)
  if (!built) throw new Error('The agent could not be built: src/main/agent.ts is missing.')
  const dir = join(projectRoot, 'dist', 'agent', built.index.version)
  return { agentFile: join(dir, 'agent.cjs'), loopFile: join(dir, 'loop.sh') }
}

/** Agents and gateways know our ports from their birth, so a port that was chosen once is kept over restarts. */
async function keptPorts(
  dataDir: string,
  options: UpOptions,
  config: Config,
): Promise<{ control: number; gateway: number }> {
  const file = join(dataDir, 'ports.json')
  const kept = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as { control?: number; gateway?: number })
    : {}
  const choose = async (wanted: number, before: number | undefined, host: string) =>
    wanted || before || (await freePort(host))
  const control = await choose(options.port ?? config.listen.port, kept.control, config.listen.host)
  const gateway = await choose(options.gatewayPort ?? config.gateway.port, kept.gateway, config.gateway.host)
  writeFileSync(file, JSON.stringify({ control, gateway }))
  return { control, gateway }
}

function startGateway(dataDir: string, controlUrl: string, gatewayUrl: string, log: Log) {
  const dir = join(dataDir, 'gateway')
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const { PATH = '', HOME = '', FLIGHTDECK_LOG_LEVEL } = process.env
  return keepProcess({
    command: [process.execPath, '--disable-warning=ExperimentalWarning', join(projectRoot, 'src/main/gateway.ts')],
    recordFile: join(dir, 'process.json'),
    env: {
      PATH,
      HOME,
      ...(FLIGHTDECK_LOG_LEVEL ? { FLIGHTDECK_LOG_LEVEL } : {}),
      FLIGHTDECK_GATEWAY_LISTEN: new URL(gatewayUrl).host,
      FLIGHTDECK_CONTROL_URL: controlUrl,
      FLIGHTDECK_GATEWAY_TOKEN_FILE: join(dataDir, 'gateway.token'),
      FLIGHTDECK_GATEWAY_DIR: dir,
      FLIGHTDECK_GATEWAY_URL: gatewayUrl,
    },
    onStart: (pid, adopted) =>
      log.info({ pid, adopted }, adopted ? 'the gateway outlived us and was adopted' : 'the gateway was started'),
    onEnd: (pid) => log.error({ pid }, 'the gateway ended and will be started again'),
  })
}

function sayWhereToGo(
  say: (line: string) => void,
  {
    dataDir,
    url,
    gatewayUrl,
    adminToken,
  }: { dataDir: string; url: string; gatewayUrl: string; adminToken: string | null },
): void {
  say(`Control API: ${url}`)
  say(`Gateway (OpenAI-compatible): ${gatewayUrl}/v1`)
  if (adminToken) say(`Admin token, shown this once (also in ${join(dataDir, 'cli.json')}): ${adminToken}`)
  say('Ready. Try `bin/flightdeck launch sim-small`; Ctrl-C stops the control plane, machines go on.')
}
