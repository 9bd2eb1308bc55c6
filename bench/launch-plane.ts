import { join } from 'node:path'
import { startApi } from '../src/api/server.ts'
import type { AskAnswer, Cloud, MachineAsk } from '../src/clouds/cloud.ts'
import { ensureFirstAdmin } from '../src/commands/operators.ts'
import { Continuity } from '../src/control/continuity.ts'
import { startLoops } from '../src/control/loops.ts'
import { agentProtocol } from '../src/core/agent-protocol.ts'
import { tokenPrefixes } from '../src/core/tokens.ts'
import { randomToken, sha256 } from '../src/lib/chance.ts'
import { systemClock } from '../src/lib/clock.ts'
import { makeLog } from '../src/lib/log.ts'
import { makeVault } from '../src/lib/vault.ts'
import { configFile, projectRoot, secretKey, settingsOf } from '../src/main/config.ts'
import { skyClouds } from '../src/main/skypilot.ts'
import { skypilotConfig } from '../src/main/skypilot-config.ts'
import { SimCloud } from '../src/sim/cloud.ts'
import { type Db, openStore } from '../src/store/database.ts'
import { databaseFigures } from '../src/store/database-figures.ts'
import { startEmbedded } from '../src/store/embedded.ts'
import { multiplyNode } from '../src/store/fleet-for-tests.ts'
import { ensureInstall } from '../src/store/install.ts'

/** What the process under test tells the one that measures it. */
export type Told =
  | { readonly kind: 'ready'; readonly url: string; readonly adminToken: string; readonly gatewayToken: string }
  | { readonly kind: 'asked'; readonly name: string; readonly joinToken: string; readonly atMs: number }
  | ({ readonly kind: 'figures' } & Figures)
  | { readonly kind: 'multiplied' }

export interface Figures {
  readonly cpuMs: number
  readonly statements: number
  readonly transactions: number
  readonly deadlocks: number
  readonly connectionWaits: number
  readonly connectionWaitMs: number
  readonly longestWaitMs: number
}

export const nowMs = (): number => performance.timeOrigin + performance.now()

/** A cloud that grants everything at once, and tells when it was asked. */
class ToldCloud extends SimCloud {
  override async ensureMachine(ask: MachineAsk): Promise<AskAnswer> {
    tell({ kind: 'asked', name: ask.name, joinToken: ask.joinToken, atMs: nowMs() })
    return super.ensureMachine(ask)
  }
}

/** The control plane as `up` composes it, with a cloud that is not there and no gateway. */
async function serve(dataDir: string, launches: number, skyUrl: string | undefined): Promise<void> {
  const log = makeLog('control', process.env.FLIGHTDECK_LOG_LEVEL ?? 'error')
  const config = configFile.parse({
    queue: { attemptsInFlight: launches },
    launch: { perMinute: launches * 2 },
  })
  const database = await startEmbedded({ dataDir: join(dataDir, 'postgres'), log })
  const store = await openStore(database.connection, config.poolSize)
  const vault = makeVault(secretKey({}, dataDir))
  const install = (await ensureInstall(store.db, vault.check, systemClock.now())).id
  const deps = { store, clock: systemClock, settings: settingsOf(config), vault }
  const [adminToken, gatewayToken] = [randomToken(tokenPrefixes.operator), randomToken(tokenPrefixes.gateway)]
  await ensureFirstAdmin(deps, adminToken)
  const api = await startApi({
    ...deps,
    log,
    install,
    listen: { host: '127.0.0.1', port: 0 },
    gatewayTokenHash: sha256(gatewayToken),
    agentDir: join(projectRoot, 'dist', 'agent'),
    webDir: join(projectRoot, 'dist', 'web'),
    databaseKind: 'embedded',
  })
  const cloud = skyUrl
    ? skyCloud(skyUrl, install)
    : new ToldCloud({ clock: systemClock, traits: { requestLimitMs: 60_000, bootLimitMs: 60_000, lookMs: 60_000 } })
  const control = { ...deps, db: store.db, log, install, continuity: new Continuity(systemClock.now()) }
  const loops = await startLoops(store, { ...control, clouds: new Map([[cloud.name, cloud]]) }, { server: 'bench' })

  const figures = async (): Promise<Figures> => {
    const { user, system } = process.cpuUsage()
    const { count, totalMs } = store.pool.waits()
    return {
      cpuMs: (user + system) / 1_000,
      statements: store.pool.statements(),
      ...(await databaseFigures(store.db)),
      connectionWaits: count,
      connectionWaitMs: totalMs,
      longestWaitMs: store.pool.longestWaitMs(),
    }
  }
  process.on('message', (message) => {
    if (message === 'figures') void figures().then((now) => tell({ kind: 'figures', ...now }))
    const { multiply: count } = message as { multiply?: number }
    if (count !== undefined && cloud instanceof ToldCloud)
      void multiplied(store.db, cloud, count).then(() => tell({ kind: 'multiplied' }))
  })
  process.once('disconnect', () => {
    // The one that measures is done, or has died: either way nobody needs this control plane any more.
    void loops
      .stop()
      .then(() => api.close())
      .then(() => store.close())
      .then(() => database.stop())
      .then(() => process.exit(0))
  })
  tell({ kind: 'ready', url: api.url, adminToken, gatewayToken })
}

async function multiplied(db: Db, { machines }: SimCloud, count: number): Promise<void> {
  const [pattern] = machines.values()
  if (!pattern) throw new Error('there is no machine to be multiplied')
  await multiplyNode(db, count)
  for (let i = 1; i <= count; i++) machines.set(`${pattern.name}b${i}`, { ...pattern, name: `${pattern.name}b${i}` })
}

/** As `up` composes it, with an agent that nobody downloads. */
function skyCloud(url: string, install: string): Cloud {
  const artefacts = ['agent.cjs', 'loop.sh'].map((file) => ({
    file,
    sha256: '0'.repeat(64),
    bytes: 1,
    platform: 'node' as const,
    tested: true,
  }))
  const { clouds } = skyClouds({
    config: skypilotConfig.parse({ url, clouds: { slurm: { onThisHost: true } } }),
    install,
    controlUrl: 'http://127.0.0.1:1',
    fingerprint: null,
    publicUrl: undefined,
    publicGatewayUrl: undefined,
    token: undefined,
    agent: { version: '0', protocol: agentProtocol, artefacts },
    recipes: {},
    loadLimitMs: 600_000,
    drainLimitMs: 60_000,
  })
  const [cloud] = clouds
  if (!cloud) throw new Error('there is no cloud')
  return cloud
}

function tell(told: Told): void {
  process.send?.(told)
}

if (import.meta.main) await serve(process.argv[2] ?? '', Number(process.argv[3]), process.argv[4])
