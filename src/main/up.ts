import { existsSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { startApi } from '../api/server.ts'
import type { Clouds } from '../clouds/cloud.ts'
import { LocalCloud } from '../clouds/local/local.ts'
import { authenticate, ensureFirstAdmin } from '../commands/operators.ts'
import { Continuity } from '../control/continuity.ts'
import { startLoops } from '../control/loops.ts'
import { installLimitMs, type Recipes } from '../core/recipe.ts'
import { defaultSettings, type Processor, processors, type Settings } from '../core/settings.ts'
import { tokenPrefixes } from '../core/tokens.ts'
import { version } from '../core/version.ts'
import { randomToken, sha256 } from '../lib/chance.ts'
import { systemClock } from '../lib/clock.ts'
import { loopbackUrl } from '../lib/host.ts'
import { type Log, makeLog } from '../lib/log.ts'
import { secretFile } from '../lib/secret-file.ts'
import { Undo } from '../lib/undo.ts'
import { makeVault } from '../lib/vault.ts'
import { chooseDatabase } from '../store/choose.ts'
import { openStore, type Store } from '../store/database.ts'
import { startEmbedded } from '../store/embedded.ts'
import { ensureInstall } from '../store/install.ts'
import { anyOperator } from '../store/operators.ts'
import type { ArtefactIndex } from '../wire/artefacts.ts'
import { buildAgent } from './build.ts'
import { databaseRefusal } from './cannot-start.ts'
import {
  type Config,
  dataDirOf,
  priceOf,
  projectRoot,
  readConfig,
  secretKey,
  settingsOf,
  usualDataDir,
} from './config.ts'
import {
  forgetForCli,
  keepForCli,
  keepPorts,
  keptPorts,
  type Ports,
  serverName,
  takeDataFolder,
} from './data-folder.ts'
import { gatewayCanListen, gatewayListens, gatewayToken, keepGateway } from './gateway-process.ts'
import { freePort } from './ports.ts'
import {
  type PublicAddresses,
  type PublicCheck,
  publicAddresses,
  refuseUnreachable,
  watchPublicAddress,
} from './public-address.ts'
import { type SkyClouds, type SkyOptions, skyClouds } from './skypilot.ts'
import { type InstallTls, installTls, type Served } from './tls.ts'

/** What is served to machines, and to people. */
const built = { agentDir: join(projectRoot, 'dist', 'agent'), webDir: join(projectRoot, 'dist', 'web') }

export interface UpOptions {
  readonly data?: string
  readonly config?: string
  readonly port?: number
  readonly gatewayPort?: number
  /** False where another process on this machine already serves the gateway. */
  readonly gateway?: boolean
  readonly say: (line: string) => void
  /** Told to stop before everything was started: what was, is ended. */
  readonly signal?: AbortSignal
}

export interface Up {
  readonly url: string
  readonly gatewayUrl: string
  /** Only when the first admin was made just now. */
  readonly adminToken: string | null
  readonly install: string
  stop(): Promise<void>
}

/** Starts the control plane, or leaves nothing running. @throws what `whyNotStarted` explains. */
export async function up(options: UpOptions): Promise<Up> {
  const log = makeLog('control')
  const undo = new Undo((what, err) => log.error({ err }, `${what} could not be ended as it should`))
  try {
    return await start(options, log, undo)
  } catch (error) {
    await undo.run()
    throw error
  }
}

/** Database, tables, API, loops, gateway: in this order, and `undo` ends them in the reverse one. */
async function start(options: UpOptions, log: Log, undo: Undo): Promise<Up> {
  const started: Started = (what, end) => {
    undo.add(what, end)
    options.signal?.throwIfAborted()
  }
  const dataDir = dataDirOf(options.data)
  const config = chosenConfig(options)
  options.say(`flightdeck ${version}: data in ${dataDir}`)
  const owned = takeDataFolder(dataDir)
  started('the data folder', () => owned.release())
  const vault = makeVault(secretKey(process.env, dataDir))
  const { store, kind } = await openDatabase(dataDir, config, { log, say: options.say, started })
  const install = (await ensureInstall(store.db, vault.check, systemClock.now())).id
  const agent = await builtAgent(config, options.say)
  const settings = { ...settingsOf(config), onlyWithNode: agent.onlyWithNode }
  const deps = { store, clock: systemClock, settings, vault }
  const admin = await firstAdmin(deps, dataDir)
  const ports = await choosePorts(dataDir, options, config)
  const addresses = publicAddresses(config, process.env, ports)
  const tls = await installTls(config, addresses, { store, vault, install, dataDir, log })
  started('the certificates', () => tls.close())
  const gatewayUrl = loopbackUrl(config.gateway.host, ports.gateway)
  const api = await startApi({
    ...deps,
    gatewayUrl,
    log,
    install,
    listen: { host: config.listen.host, port: ports.control },
    certificate: tls.control.certificate,
    direct: tls.direct,
    gatewayTokenHash: sha256(gatewayToken(dataDir)),
    ...built,
    databaseKind: kind,
    ...(addresses.publicUrl ? { publicUrl: addresses.publicUrl } : {}),
  })
  started('the control API', () => api.close())
  const reached = { controlUrl: api.url, gatewayUrl, publicUrl: addresses.publicGatewayUrl }
  const gatewayAt = { host: config.gateway.host, port: ports.gateway, tls: tls.gateway }
  if (options.gateway !== false) await gatewayCanListen(dataDir, gatewayAt)
  const where = { ...addresses, install, dataDir, controlUrl: api.url, ...tls.control, recipes: deps.settings.recipes }
  const { clouds, close: closeClouds } = cloudsOf(config, agent, where)
  started('the clouds', closeClouds)
  const shared = { ...deps, db: store.db, clouds, log, install, continuity: new Continuity(systemClock.now()) }
  const loops = await startLoops(store, shared, { server: serverName(dataDir), observe: api.observePass })
  started('the loops', () => loops.stop())
  if (options.gateway !== false) {
    const gateway = keepGateway({ dataDir, ...reached, ...gatewayAt, log })
    started('the gateway', () => gateway.stop())
  }
  keepPorts(dataDir, ports)
  keepForCli(dataDir, { url: api.url, install, token: admin.token })
  started('the way for the command line', () => forgetForCli(dataDir))
  if (options.gateway !== false && !(await gatewayListens(gatewayAt, options.signal)))
    options.say('The gateway does not take requests yet; the log says why. It is started again until it does.')
  sayWhereToGo(options.say, { dataDir, url: api.url, gatewayUrl, admin, ...addresses, tls })
  started('the checks of addresses', checkPublicAddresses(options.say, addresses, install, tls))
  return { url: api.url, gatewayUrl, adminToken: admin.isNew ? admin.token : null, install, stop: () => undo.run() }
}

/** Before anything is made: whoever has to set an address should not wait for a build to be told so. */
function chosenConfig(options: UpOptions): Config {
  const config = readConfig(options.config ?? process.env.FLIGHTDECK_CONFIG)
  const wished = { control: config.listen.port, gateway: config.gateway.port }
  refuseUnreachable(config.skypilot?.clouds ?? {}, publicAddresses(config, process.env, wished))
  return config
}

type Started = (what: string, end: () => Promise<void> | void) => void

interface Admin {
  /** Null where the database has its admins already, and none of their tokens is in this data folder. */
  readonly token: string | null
  readonly isNew: boolean
}

/** The first admin's token is on disk before it is in the database: whoever dies in between loses nothing. */
async function firstAdmin(deps: Parameters<typeof ensureFirstAdmin>[0], dataDir: string): Promise<Admin> {
  const file = join(dataDir, 'admin.token')
  if (!existsSync(file) && (await anyOperator(deps.store.db))) return { token: null, isNew: false }
  const token = secretFile(file, () => randomToken(tokenPrefixes.operator))
  const isNew = await ensureFirstAdmin(deps, token)
  return { token: isNew || (await authenticate(deps, token)) ? token : null, isNew }
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

async function openDatabase(
  dataDir: string,
  config: Config,
  { log, say, started }: { log: Log; say: UpOptions['say']; started: Started },
): Promise<{ store: Store; kind: 'embedded' | 'given' }> {
  const choice = chooseDatabase(process.env, dataDir)
  say(choice.explanation)
  if (choice.kind === 'url') {
    const store = await openStore({ url: choice.url }, config.poolSize).catch((error: unknown) => {
      throw databaseRefusal(error, choice.where)
    })
    started('the connections to the database', () => store.close())
    return { store, kind: 'given' }
  }
  const embedded = await startEmbedded({ dataDir: choice.dataDir, log })
  started('the embedded PostgreSQL', () => embedded.stop())
  const store = await openStore(embedded.connection, config.poolSize)
  started('the connections to the database', () => store.close())
  return { store, kind: 'embedded' }
}

interface BuiltAgent extends Pick<Settings, 'onlyWithNode'> {
  readonly index: ArtefactIndex
  readonly dir: string
}

/** For machines that are rented, also as the executable that most of them can run; what else there is was built by hand. */
async function builtAgent({ skypilot }: Config, say: (line: string) => void): Promise<BuiltAgent> {
  const rents = Object.values(skypilot?.clouds ?? {}).some(({ onThisHost }) => !onThisHost)
  const built = await buildAgent(projectRoot, { executables: rents ? ['linux-x64'] : [], say })
  if (!built) throw new Error('The agent could not be built: src/main/agent.ts is missing.')
  const { index, missing } = built
  for (const why of Object.values(missing)) say(`Warning: machines without Node.js cannot run the agent. ${why}`)
  const has = (processor: Processor) => index.artefacts.some(({ platform }) => platform === `linux-${processor}`)
  const onlyWithNode = rents ? processors.filter((processor) => !has(processor)) : []
  return { index, dir: join(projectRoot, 'dist', 'agent', index.version), onlyWithNode }
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

async function choosePorts(dataDir: string, options: UpOptions, config: Config): Promise<Ports> {
  const kept = keptPorts(dataDir)
  const choose = async (wanted: number, before: number | undefined, host: string) =>
    wanted || before || (await freePort(host))
  return {
    control: await choose(options.port ?? config.listen.port, kept.control, config.listen.host),
    gateway: await choose(options.gatewayPort ?? config.gateway.port, kept.gateway, config.gateway.host),
  }
}

interface WhereToGo extends PublicAddresses {
  readonly dataDir: string
  readonly url: string
  readonly gatewayUrl: string
  readonly admin: Admin
  readonly tls: InstallTls
}

function sayWhereToGo(say: (line: string) => void, where: WhereToGo): void {
  const { dataDir, url, gatewayUrl, admin, publicUrl, publicGatewayUrl, tls } = where
  const elsewhere = publicUrl ? `, from elsewhere ${publicUrl}` : ''
  say(`Control API: ${url}${elsewhere}`)
  say(
    `Gateway (OpenAI-compatible): ${gatewayUrl}/v1${publicGatewayUrl ? `, from elsewhere ${publicGatewayUrl}/v1` : ''}`,
  )
  if (tls.authority) {
    const { file, fingerprint } = tls.authority
    say(`TLS by the authority of this install, sha256 ${fingerprint}; clients elsewhere trust ${file}`)
  }
  const isBuilt = existsSync(join(built.webDir, 'index.html'))
  say(`Dashboard: ${isBuilt ? `${url}/${elsewhere}; sign in with a token` : 'not built here; `npm run build` does it'}`)
  if (admin.isNew) say(`Admin token, shown this once (also in ${join(dataDir, 'admin.token')}): ${admin.token}`)
  if (!admin.token)
    say('This database has its admins already: the command line here needs a token of theirs (FLIGHTDECK_TOKEN).')
  const command = dataDir === usualDataDir ? 'bin/flightdeck' : `bin/flightdeck --data ${dataDir}`
  say(`Ready. Try \`${command} launch sim-small\`; Ctrl-C stops the control plane, machines go on.`)
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
