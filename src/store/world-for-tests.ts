import type { EngineArguments } from '../core/engine-presets.ts'
import type { NodeState } from '../core/node-table.ts'
import { anyWish, type Offer } from '../core/offer.ts'
import { defaultSettings, type Settings } from '../core/settings.ts'
import { makeVault, type Vault } from '../lib/vault.ts'
import { at, type Store } from './database.ts'
import { addDeployment, lockDeployment, setWanted } from './deployment-requests.ts'
import { ensureInstall } from './install.ts'
import { joinTokenFor } from './join-token.ts'
import { openLaunch } from './launches.ts'
import { openAttempt } from './nodes.ts'
import { saveOffers } from './offers.ts'
import { testStore } from './test-database.ts'

/** Time that only a test moves. */
export class TestClock {
  ms = Date.parse('2026-03-01T12:00:00Z')
  now(): number {
    return this.ms
  }
  #wrongByMs = 0
  monotonicMs(): number {
    return this.ms - this.#wrongByMs
  }
  pass(ms: number): void {
    this.ms += ms
  }
  /** As when somebody sets it: no time passes. */
  jump(ms: number): void {
    this.ms += ms
    this.#wrongByMs += ms
  }
}

export const cheapOffer: Offer = {
  id: 'local/here/cpu',
  cloud: 'local',
  region: 'here',
  gpu: null,
  gpuCount: 0,
  vramGib: 0,
  spot: false,
  pricePerHourMicroUsd: 100_000,
  available: null,
}

export const gpuOffer: Offer = {
  ...cheapOffer,
  id: 'sky/eu/a100',
  cloud: 'sky',
  region: 'eu',
  gpu: 'A100-80GB',
  gpuCount: 2,
  vramGib: 80,
  pricePerHourMicroUsd: 3_000_000,
}

export const testSettings: Settings = {
  ...defaultSettings,
  models: [
    { name: 'sim-small', engine: 'sim', source: 'sim-small', args: { 'max-model-len': 1024 }, description: '' },
    { name: 'Org/Big-7B', engine: 'vllm', source: '/models/big', args: {}, description: '' },
  ],
  engines: { sim: { command: ['engine-sim'], env: { SIM_SPEED: '1' } } },
}

export interface TestDeps {
  readonly store: Store
  readonly clock: TestClock
  settings: Settings
  readonly vault: Vault
}

/** Rows as they are in a living install: a database of its own, one tenant, two offers, a vault and a clock. */
export async function testWorld(settings: Settings = testSettings) {
  const { store, connection, drop } = await testStore()
  const clock = new TestClock()
  const vault = makeVault(Buffer.alloc(32, 7))
  const install = await ensureInstall(store.db, vault.check, clock.now())
  await saveOffers(store.db, 'local', [cheapOffer], clock.now())
  await saveOffers(store.db, 'sky', [gpuOffer], clock.now())
  const deps: TestDeps = { store, clock, settings, vault }
  const actor = { id: 'op-ann', name: 'ann', role: 'admin' as const, tenantId: 'te-default', address: '10.0.0.7' }
  return { deps, actor, install: install.id, connection, drop }
}
export type TestWorld = Awaited<ReturnType<typeof testWorld>>

export interface NodeWish {
  readonly state?: NodeState
  readonly offer?: Offer
  readonly deployment?: string
  readonly model?: string
  readonly engineArgs?: EngineArguments
}

/** A launch with one attempt, and its node in a state, as the loops leave them. */
export async function addNode({ deps, install, actor }: TestWorld, wish: NodeWish = {}) {
  const { state = 'booting', offer = cheapOffer, deployment = 'd', model = 'sim-small', engineArgs = {} } = wish
  const { store, clock, vault } = deps
  const now = clock.now()
  const { tenantId, name: requestedBy } = actor
  const made = await store.db.transaction().execute(async (tx) => {
    const engine = deps.settings.models.find(({ name }) => name === model)?.engine ?? 'sim'
    const row = { tenantId, name: deployment, model, engine, source: null, engineArgs, wish: anyWish, wanted: 0 }
    await addDeployment(tx, { ...row, createdBy: requestedBy }, now)
    const held = await lockDeployment(tx, tenantId, { name: deployment })
    if (!held) throw new Error('no deployment')
    await setWanted(tx, held.id, held.wanted + 1)
    const from = { tenantId, deploymentId: held.id, origin: 'hand' as const, requestedBy }
    const launchId = await openLaunch(
      tx,
      { ...from, wish: anyWish, offers: [{ ...offer, standing: null }], time: { limitMs: 600_000, waitsCount: true } },
      now,
    )
    const nodeId = await openAttempt(
      tx,
      {
        install,
        tenantId,
        launchId,
        deploymentId: held.id,
        offer,
        ordinal: 1,
        joinTokenUntil: now + 600_000,
        joinTokenFor: (id) => joinTokenFor(vault, id),
      },
      now,
    )
    return { deploymentId: held.id, launchId, nodeId }
  })
  await setNodeState(store, made.nodeId, state)
  const live = state === 'ready' || state === 'draining'
  const launch = { state: live ? ('live' as const) : ('attempting' as const) }
  await store.db.updateTable('launches').set(launch).where('id', '=', made.launchId).execute()
  return { ...made, joinToken: joinTokenFor(vault, made.nodeId) }
}

/** Where the node loop would have taken it. */
export async function setNodeState(store: Store, nodeId: string, state: NodeState): Promise<void> {
  const since = at(Date.parse('2026-03-01T12:00:00Z'))
  await store.db.updateTable('nodes').set({ state, state_since: since }).where('id', '=', nodeId).execute()
}

/** When a loop looks at the row again; epoch ms. */
export async function dueAt({ db }: Store, rowId: string): Promise<number | undefined> {
  return (await db.selectFrom('claims').select('due_at').where('row_id', '=', rowId).executeTakeFirst())?.due_at
}

/** No loop looks at anything for long, until it is nudged again. */
export async function forgetNudges({ db }: Store): Promise<void> {
  await db
    .updateTable('claims')
    .set({ due_at: new Date('2100-01-01') })
    .execute()
}
