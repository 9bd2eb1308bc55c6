import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { startApi } from '../api/server.ts'
import type { Clouds } from '../clouds/cloud.ts'
import { LocalCloud } from '../clouds/local/local.ts'
import { ensureFirstAdmin } from '../commands/operators.ts'
import { Continuity } from '../control/continuity.ts'
import { startLoops } from '../control/loops.ts'
import { installLimitMs, type Recipes } from '../core/recipe.ts'
import { defaultSettings } from '../core/settings.ts'
import { tokenPrefixes } from '../core/tokens.ts'
import { version } from '../core/version.ts'
import { randomName, randomToken, sha256 } from '../lib/chance.ts'
import { systemClock } from '../lib/clock.ts'
import { hostPort, loopbackUrl } from '../lib/host.ts'
import { type Log, makeLog } from '../lib/log.ts'
import { makeVault } from '../lib/vault.ts'
import { chooseDatabase } from '../store/choose.ts'
import { type Connection, openStore, type Store } from '../store/database.ts'
import { startEmbedded } from '../store/embedded.ts'
import { ensureInstall } from '../store/install.ts'
import type { ArtefactIndex } from '../wire/artefacts.ts'
import { buildAgent } from './build.ts'
import {
  type Config,
  dataDirOf,
  priceOf,
  projectRoot,
  readConfig,
  secretFile,
  secretKey,
  settingsOf,
} from './config.ts'
import { gatewayToken, keepGateway } from './gateway-process.ts'
import { freePort } from './ports.ts'
import { type PublicAddresses, type PublicCheck, publicAddresses, watchPublicAddress } from './public-address.ts'
import { type SkyClouds, type SkyOptions, skyClouds } from './skypilot.ts'
import { type InstallTls, installTls, type Served } from './tls.ts'

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
  options.say(`flightdeck ${version}: data in ${dataDir}`)
  const { store, kind, stopDatabase } = await openDatabase(dataDir, config, log, options.say)
  const vault = makeVault(secretKey(process.env, dataDir))
  const install = (await ensureInstall(store.db, vault.check, systemClock.now())).id
  const deps = { store, clock: systemClock, settings: settingsOf(config), vault }
  const adminToken = await firstAdmin(deps, dataDir)
  const ports = await keptPorts(dataDir, options, config)
  const addresses = publicAddresses(config, process.env, ports)
  const tls = await installTls(config, addresses, { store, vault, install, dataDir, log })
  const api = await startApi({
    ...deps,
    log,
    listen: { host: config.listen.host, port: ports.control },
    certificate: tls.control.certificate,
    direct: tls.direct,
    gatewayTokenHash: sha256(gatewayToken(dataDir)),
    agentDir: join(projectRoot, 'dist', 'agent'),
    databaseKind: kind,
    ...(addresses.publicUrl ? { publicUrl: addresses.publicUrl } : {}),
  })
  const where = { ...addresses, install, dataDir, controlUrl: api.url, ...tls.control, recipes: deps.settings.recipes }
  const { clouds, close: closeClouds } = cloudsOf(config, await builtAgent(), where)
  const loops = await startLoops(
    store,
    {
      db: store.db,
      clouds,
      clock: systemClock,
      log,
      settings: deps.settings,
      vault,
      install,
      continuity: new Continuity(systemClock.now()),
    },
    { server: serverName(dataDir), observe: api.observePass },
  )
  const gatewayUrl = loopbackUrl(config.gateway.host, ports.gateway)
  const reached = { controlUrl: api.url, gatewayUrl, publicUrl: addresses.publicGatewayUrl }
  const served = { listen: hostPort(config.gateway.host, ports.gateway), tls: tls.gateway }
  const gateway = options.gateway === false ? null : keepGateway({ dataDir, ...reached, ...served, log })
  keepForCli(dataDir, api.url)
  sayWhereToGo(options.say, { dataDir, url: api.url, gatewayUrl, adminToken, ...addresses, tls })
  const endChecks = checkPublicAddresses(options.say, addresses, install, tls)
  async function stop(): Promise<void> {
    endChecks()
    await loops.stop()
    closeClouds()
    await gateway?.stop()
    await api.close()
    tls.close()
    await store.close()
    await stopDatabase()
  }
  return { url: api.url, gatewayUrl, adminToken, install, stop }
}

/** The first admin's token is on disk before it is in the database: whoever dies in between loses nothing. */
async function firstAdmin(deps: Parameters<typeof ensureFirstAdmin>[0], dataDir: string): Promise<string | null> {
  const token = secretFile(join(dataDir, 'admin.token'), () => randomToken(tokenPrefixes.operator))
  return (await ensureFirstAdmin(deps, token)) ? token : null
}

/** The same name after a restart: what this server had claimed in its earlier life is free at once. */
function serverName(dataDir: string): string {
  return secretFile(join(dataDir, 'server-name'), () => `${hostname()}-${randomName(6)}`)
}

/** How the command line on this machine finds its way in without being told. */
function keepForCli(dataDir: string, url: string): void {
  const token = readFileSync(join(dataDir, 'admin.token'), 'utf8').trim()
  writeFileSync(join(dataDir, 'cli.json'), JSON.stringify({ url, token }), { mode: 0o600 })
}

function localCloud(
  config: Config,
  agent: BuiltAgent,
  where: { install: string; dataDir: string; controlUrl: string; recipes: Recipes },
): LocalCloud {
  // A machine of this host is nobody else's to look at: where hosts share a database, the cloud carries the host's name.
  const name = process.env.DATABASE_URL ? `local-${hostname().toLowerCase()}` : 'local'
  return new LocalCloud({
    name,
    clock: systemClock,
    install: where.install,
    folder: config.local.folder ?? defaultFolder(where),
    controlUrl: where.controlUrl,
    agentFile: join(agent.dir, 'agent.cjs'),
    loopFile: join(agent.dir, 'loop.sh'),
    nodeBin: process.execPath,
    pricePerHourMicroUsd: priceOf(config),
    maxMachines: config.local.maxMachines,
    env: config.local.env,
    loadLimitMs: config.local.loadLimitS * 1_000 + installLimitMs(where.recipes, 'local'),
    drainLimitMs: config.local.drainLimitS * 1_000,
    endGraceMs: defaultSettings.engineStopGraceMs + 10_000,
  })
}

/** Control planes of one host that share a database share its machines too, so their folder is nobody's data folder. */
function defaultFolder({ dataDir, install }: { dataDir: string; install: string }): string {
  return process.env.DATABASE_URL ? join('/var/tmp', `flightdeck-${userInfo().uid}`, install) : join(dataDir, 'local')
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

interface BuiltAgent {
  readonly index: ArtefactIndex
  readonly dir: string
}

async function builtAgent(): Promise<BuiltAgent> {
  const built = await buildAgent(projectRoot)
  if (!built) throw new Error('The agent could not be built: src/main/agent.ts is missing.')
  return { index: built.index, dir: join(projectRoot, 'dist', 'agent', built.index.version) }
}

interface CloudsUp {
  readonly clouds: Clouds
  close(): void
}

type Where = Pick<SkyOptions, 'install' | 'controlUrl' | 'fingerprint' | 'recipes' | keyof PublicAddresses> & {
  dataDir: string
}

function cloudsOf(config: Config, agent: BuiltAgent, where: Where): CloudsUp {
  const sky = cloudsOfSkyPilot(config, agent, where)
  const all = [localCloud(config, agent, where), ...(sky?.clouds ?? [])]
  return { clouds: new Map(all.map((cloud) => [cloud.name, cloud])), close: () => sky?.close() }
}

/** None where the configuration names no API server. */
function cloudsOfSkyPilot(config: Config, agent: BuiltAgent, where: Omit<Where, 'dataDir'>): SkyClouds | null {
  if (!config.skypilot) return null
  return skyClouds({
    ...where,
    config: config.skypilot,
    token: process.env.FLIGHTDECK_SKYPILOT_TOKEN,
    agent: agent.index,
    loadLimitMs: config.local.loadLimitS * 1_000,
    drainLimitMs: config.local.drainLimitS * 1_000,
  })
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

interface WhereToGo extends PublicAddresses {
  readonly dataDir: string
  readonly url: string
  readonly gatewayUrl: string
  readonly adminToken: string | null
  readonly tls: InstallTls
}

function sayWhereToGo(say: (line: string) => void, where: WhereToGo): void {
  const { dataDir, url, gatewayUrl, adminToken, publicUrl, publicGatewayUrl, tls } = where
  say(`Control API: ${url}${publicUrl ? `, from elsewhere ${publicUrl}` : ''}`)
  say(
    `Gateway (OpenAI-compatible): ${gatewayUrl}/v1${publicGatewayUrl ? `, from elsewhere ${publicGatewayUrl}/v1` : ''}`,
  )
  if (tls.authority) {
    const { file, fingerprint } = tls.authority
    say(`TLS by the authority of this install, sha256 ${fingerprint}; clients elsewhere trust ${file}`)
  }
  if (adminToken) say(`Admin token, shown this once (also in ${join(dataDir, 'cli.json')}): ${adminToken}`)
  say('Ready. Try `bin/flightdeck launch sim-small`; Ctrl-C stops the control plane, machines go on.')
}

/** Told when it is known; nothing waits for it. Returns what ends it. */
function checkPublicAddresses(
  say: (line: string) => void,
  { publicUrl, publicGatewayUrl }: PublicAddresses,
  install: string,
  { control, gateway, authority }: InstallTls,
): () => void {
  const stop = new AbortController()
  const check = (of: PublicCheck['of'], url: string | undefined, { fingerprint }: Served) => {
    if (!url?.startsWith('https:')) return
    const ca = fingerprint === null ? null : (authority?.cert ?? null)
    void watchPublicAddress({ url, of, install, ca }, stop.signal).then((found) => found && say(`Warning: ${found}`))
  }
  check('control', publicUrl, control)
  check('gateway', publicGatewayUrl, gateway)
  return () => stop.abort()
}
