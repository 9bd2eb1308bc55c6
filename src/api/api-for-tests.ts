import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Actor, CommandDeps } from '../commands/context.ts'
import { createLaunch } from '../commands/launches.ts'
import { createOperator } from '../commands/operators.ts'
import type { Offer } from '../core/offer.ts'
import { defaultSettings, type Settings } from '../core/settings.ts'
import { type Role, tokenPrefixes } from '../core/tokens.ts'
import { randomToken, sha256 } from '../lib/chance.ts'
import { systemClock } from '../lib/clock.ts'
import { makeLog } from '../lib/log.ts'
import { makeVault } from '../lib/vault.ts'
import { at, type Connection, json } from '../store/database.ts'
import { ensureInstall } from '../store/install.ts'
import { joinTokenFor } from '../store/join-token.ts'
import { openAttempt } from '../store/nodes.ts'
import { saveOffers } from '../store/offers.ts'
import { enterPhase } from '../store/phases.ts'
import { testStore } from '../store/test-database.ts'
import type { ArtefactIndex } from '../wire/artefacts.ts'
import { type Client, makeClient } from '../wire/client.ts'
import { launchRequest } from '../wire/routes.ts'
import { type Api, type ApiOptions, startApi } from './server.ts'
import { signIn } from './sign-in-for-tests.ts'

export const agentText = 'console.log("agent")\n'
const agentFile = { file: 'agent.cjs', sha256: sha256(agentText), bytes: agentText.length, platform: 'node' as const }

/** The agent that is built, and the one before it. */
export const agentIndex = (version: string): ArtefactIndex => ({
  version,
  protocol: version === '0.1.0' ? 2 : 1,
  artefacts: [{ ...agentFile, tested: true }],
})

export const offer: Offer = {
  id: 'local/here/none',
  cloud: 'local',
  region: 'here',
  gpu: null,
  gpuCount: 0,
  vramGib: 0,
  spot: false,
  pricePerHourMicroUsd: 3_600_000,
  available: 4,
}

export const settings: Settings = {
  ...defaultSettings,
  models: [{ name: 'tiny', engine: 'vllm', source: 'org/tiny', args: {}, description: 'For tests.' }],
  engines: { vllm: { command: ['vllm'], env: {} } },
  launchesPerMinute: 1_000,
}

/** A served API over a database of its own, with one person of each role, and rows made by hand. */
export interface TestApi {
  readonly api: Api
  readonly deps: CommandDeps
  readonly connection: Connection
  readonly tokens: Readonly<Record<Role | 'gateway', string>>
  readonly client: Client
  clientOf(role: Role): Client
  /** What a browser of that person sends along from then on. */
  signIn(role: Role): Promise<string>
  actor: Actor
  /** A node of a new launch: in the state that the columns say, `requesting` by default. */
  node(columns?: NodeColumns): Promise<{ launchId: string; nodeId: string; credential: string }>
  launch(): Promise<string>
  end(): Promise<void>
}

export interface NodeColumns {
  readonly state?: 'requesting' | 'booting' | 'loading' | 'ready' | 'draining' | 'releasing' | 'gone'
  readonly launchState?: 'attempting' | 'live' | 'ending'
  readonly incarnation?: string
}

export async function startTestApi(over: Partial<ApiOptions> = {}): Promise<TestApi> {
  const { store, connection, drop } = await testStore()
  const agentDir = makeAgentDir()
  const vault = makeVault(Buffer.alloc(32, 7))
  const deps = { store, clock: systemClock, settings, vault, ...pick(over) }
  const now = systemClock.now()
  const { id: install } = await ensureInstall(store.db, vault.check, now)
  await saveOffers(store.db, 'local', [offer], now)
  const root: Actor = { id: 'op-root', name: 'root', role: 'admin', tenantId: 'te-default', address: null }
  const people = await Promise.all(
    (['viewer', 'operator', 'admin'] as const).map(async (role) => {
      const { token } = await createOperator(deps, root, { name: `the-${role}`, role })
      return [role, token] as const
    }),
  )
  const gateway = randomToken(tokenPrefixes.gateway)
  const tokens = { ...(Object.fromEntries(people) as Record<Role, string>), gateway }
  const api = await startApi({
    ...deps,
    install,
    log: makeLog('api-test', 'silent'),
    listen: { host: '127.0.0.1', port: 0 },
    gatewayTokenHash: sha256(gateway),
    agentDir,
    databaseKind: 'embedded',
    checkReplies: true,
    ...over,
  })
  const clientOf = (role: Role) => makeClient({ url: api.url, token: tokens[role] })
  const launch = () => openLaunchByHand(deps, root)
  return {
    api,
    deps,
    connection,
    tokens,
    client: clientOf('admin'),
    clientOf,
    signIn: (role) => signIn(api.url, tokens[role]),
    actor: root,
    launch,
    node: (columns) => launch().then((launchId) => openNodeByHand(deps, launchId, columns)),
    async end() {
      await api.close()
      await drop()
      rmSync(agentDir, { recursive: true, force: true })
    },
  }
}

const pick = ({ settings: given }: Partial<ApiOptions>) => (given ? { settings: given } : {})

function makeAgentDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'fd-api-'))
  for (const version of ['0.0.9', '0.1.0']) {
    mkdirSync(join(dir, version))
    writeFileSync(join(dir, version, 'agent.cjs'), agentText)
    writeFileSync(join(dir, version, 'unlisted.txt'), 'not for download')
    writeFileSync(join(dir, version, 'index.json'), JSON.stringify(agentIndex(version)))
  }
  writeFileSync(join(dir, 'index.json'), JSON.stringify(agentIndex('0.1.0')))
  return dir
}

async function openLaunchByHand(deps: CommandDeps, root: Actor): Promise<string> {
  const { launchId } = await createLaunch(deps, root, launchRequest.parse({ model: 'tiny' }), null)
  return launchId
}

async function openNodeByHand(deps: CommandDeps, launchId: string, columns: NodeColumns = {}) {
  const { store, vault, clock } = deps
  const now = clock.now()
  const launch = await store.db.selectFrom('launches').selectAll().where('id', '=', launchId).executeTakeFirstOrThrow()
  const { state = 'requesting', launchState = 'attempting' } = columns
  const tokenOf = (id: string) => joinTokenFor(vault, id)
  const nodeId = await store.db.transaction().execute((tx) =>
    openAttempt(
      tx,
      {
        install: 'abcde',
        launchId,
        tenantId: launch.tenant_id,
        deploymentId: launch.deployment_id,
        offer,
        ordinal: 1,
        joinTokenUntil: now + 60_000,
        joinTokenFor: tokenOf,
      },
      now,
    ),
  )
  const credential = `${tokenPrefixes.node}${nodeId}.${'c'.repeat(32)}`
  await store.db
    .updateTable('nodes')
    .set({
      state,
      credential_hash: sha256(credential),
      incarnation: columns.incarnation ?? 'incarnation-1',
      gpus: json([]),
      joined_at: at(now),
      ...(state === 'ready' || state === 'draining' ? { ready_at: at(now) } : {}),
      ...(state === 'gone' ? { gone_at: at(now) } : {}),
    })
    .where('id', '=', nodeId)
    .execute()
  await enterPhase(store.db, nodeId, state === 'requesting' ? 'requesting' : 'weights_load', now)
  await store.db
    .updateTable('launches')
    .set({ state: launchState, ...(launchState === 'live' ? { live_at: at(now) } : {}) })
    .where('id', '=', launchId)
    .execute()
  return { launchId, nodeId, credential }
}
