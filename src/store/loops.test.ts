import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { cancelLaunch } from '../commands/launches.ts'
import { decideLaunch } from '../core/decide-launch.ts'
import type { CloudTraits } from '../core/decide-node.ts'
import { failureRecord } from '../core/failure.ts'
import { type Claim, claimDue } from './claims.ts'
import { at, type Db } from './database.ts'
import { loadDeployment } from './deployments.ts'
import { saveGateway } from './gateways.ts'
import { saveFailure } from './heard.ts'
import { lockJoining, saveJoin } from './joins.ts'
import { loadLaunch, saveLaunchDecision } from './launches.ts'
import { ledgerFaults } from './ledger.ts'
import { loadNode, type NodeForLoop, saveNodeDecision } from './nodes.ts'
import { saveLook } from './sightings.ts'
import { addNode, cheapOffer, setNodeState, type TestWorld, testWorld } from './world-for-tests.ts'

const listening = { watchedSince: 0, silentAfterMs: 0 }

const traits: CloudTraits = {
  confirmGoneMs: 300,
  listingLagMs: 1_000,
  askLimitMs: 5_000,
  requestLimitMs: 1,
  bootLimitMs: 1,
  loadLimitMs: 1,
  drainLimitMs: 1,
  lookMs: 10_000,
  lookFastMs: 250,
}
const joined = {
  instance: 'instance-1',
  incarnation: 'incarnation-1',
  credentialHash: 'x',
  hostname: 'h',
  gpus: [],
  cpus: 1,
  memoryMib: 1,
  instanceType: null,
  agentVersion: '0',
  protocol: 1,
  address: '10.0.0.1',
  failure: null,
}

let world: TestWorld
let db: Db
beforeEach(async () => {
  world = await testWorld()
  db = world.deps.store.db
})
afterEach(() => world.drop())

const now = () => world.deps.clock.now()

async function claimNode(nodeId: string): Promise<{ claim: Claim; node: NodeForLoop }> {
  const claims = await claimDue(db, 'node', 10, now(), 5_000, {
    holder: 'here',
    realms: [cheapOffer.cloud],
    acts: true,
  })
  const claim = claims.find(({ rowId }) => rowId === nodeId)
  const node = await loadNode(db, nodeId, listening)
  assert.ok(claim && node)
  return { claim, node }
}

test('a launch that is cancelled between the look of its loop and the write ends as cancelled, and is counted once', async () => {
  const { launchId, deploymentId } = await addNode(world, { state: 'loading' })
  await addNode(world, { state: 'ready' })
  const wanted = async () => {
    const row = await db.selectFrom('deployments').select('wanted').where('id', '=', deploymentId).executeTakeFirst()
    return row?.wanted
  }
  const step = async (atMs: number, meanwhile: () => Promise<unknown> = async () => undefined) => {
    await db
      .updateTable('claims')
      .set({ due_at: at(now()), until: null, token: null })
      .execute()
    const claims = await claimDue(db, 'launch', 10, now(), 5_000, { holder: 'here', realms: [], acts: true })
    const claim = claims.find(({ rowId }) => rowId === launchId)
    const launch = await loadLaunch(db, launchId)
    assert.ok(claim && launch)
    const decision = decideLaunch(launch.view, world.deps.settings.retry, atMs)
    await meanwhile()
    const { settings } = world.deps
    const terms = { install: world.install, limits: settings, joinTokenMs: 1_000, joinTokenFor: () => '' }
    return saveLaunchDecision(db, claim, launch, decision, terms, atMs)
  }
  const late = now() + 3_600_000
  assert.equal(await step(late, () => cancelLaunch(world.deps, world.actor, launchId)), false)
  assert.equal((await loadLaunch(db, launchId))?.view.state, 'attempting')
  assert.equal(await step(late), true)
  const after = await loadLaunch(db, launchId)
  assert.deepEqual([after?.view.state, after?.view.outcome, await wanted()], ['ending', 'cancelled', 1])
})

describe('what an agent says between the look of a node loop and its write', () => {
  const giveUp = { fact: 'expired', state: 'releasing', failure: null } as const

  test('keeps the bill open that its joining has opened', async () => {
    const { nodeId } = await addNode(world, { state: 'requesting' })
    const { claim, node } = await claimNode(nodeId)
    await db.transaction().execute(async (tx) => {
      const joining = await lockJoining(tx, nodeId)
      assert.ok(joining)
      await saveJoin(tx, joining, joined, now())
    })
    world.deps.clock.pass(10)
    assert.equal(await saveNodeDecision(db, claim, node, giveUp, now()), true)
    const after = await loadNode(db, nodeId, listening)
    assert.equal(after?.view.firstSeenAt, now() - 10)
    assert.deepEqual(await ledgerFaults(db), [])
  })

  test('is not forgotten when it was a failure', async () => {
    const { nodeId } = await addNode(world, { state: 'booting' })
    const { claim, node } = await claimNode(nodeId)
    const failure = failureRecord('engine_failed', 'It fell over.')
    await db.transaction().execute((tx) => saveFailure(tx, nodeId, failure))
    await saveNodeDecision(db, claim, node, { fact: 'joined', state: 'loading', failure: null }, now())
    assert.deepEqual((await loadNode(db, nodeId, listening))?.view.failure, failure)
  })
})

describe("the cloud's word that a machine is not there", () => {
  async function look(listed: readonly string[] = []): Promise<void> {
    world.deps.clock.pass(100)
    const names = listed.map((name) => ({ name }))
    await saveLook(db, { cloud: cheapOffer.cloud, startedAt: now(), listed: names }, traits, now())
  }
  const absentSince = async (nodeId: string) => (await loadNode(db, nodeId, listening))?.view.sighting?.absentSince
  const set = (nodeId: string, ask: { asked_at: Date; ask_open: boolean }) =>
    db.updateTable('nodes').set(ask).where('id', '=', nodeId).execute()

  test('is dated from the first of several looks', async () => {
    const { nodeId } = await addNode(world)
    await look()
    const first = now()
    await look()
    assert.equal(await absentSince(nodeId), first)
  })

  test('begins anew after an ask, once the cloud has had the time to list its machine', async () => {
    const { nodeId } = await addNode(world)
    await look()
    await set(nodeId, { asked_at: at(now()), ask_open: false })
    world.deps.clock.pass(1_000)
    await look()
    assert.equal(await absentSince(nodeId), now())
  })

  test('begins anew after an ask that nobody closed, once it cannot be carried out any more', async () => {
    const { nodeId } = await addNode(world)
    await set(nodeId, { asked_at: at(now()), ask_open: true })
    world.deps.clock.pass(2_000)
    await look()
    const tooEarly = await absentSince(nodeId)
    world.deps.clock.pass(4_000)
    await look()
    assert.deepEqual([await absentSince(nodeId), (tooEarly ?? 0) < now()], [now(), true])
  })

  test('begins anew after a node that had spoken against it falls silent', async () => {
    const { nodeId } = await addNode(world, { state: 'ready' })
    await look()
    await db
      .updateTable('signals')
      .set({ heard_at: at(now() + 50) })
      .where('node_id', '=', nodeId)
      .execute()
    await look()
    assert.equal(await absentSince(nodeId), now())
  })

  test('is taken back by a look that shows the machine', async () => {
    const { nodeId } = await addNode(world)
    const node = await loadNode(db, nodeId, listening)
    await look()
    await look([node?.name ?? ''])
    assert.equal(await absentSince(nodeId), null)
  })

  test('of a node that is gone, every look that shows its machine wakes it: the first nudge may have been lost', async () => {
    const { nodeId } = await addNode(world, { state: 'gone' })
    const node = await loadNode(db, nodeId, listening)
    await look([node?.name ?? ''])
    await db
      .updateTable('claims')
      .set({ due_at: at(now() + 1e9) })
      .where('row_id', '=', nodeId)
      .execute()
    await look([node?.name ?? ''])
    const { due_at } = await db
      .selectFrom('claims')
      .select('due_at')
      .where('row_id', '=', nodeId)
      .executeTakeFirstOrThrow()
    assert.ok(due_at <= now())
  })
})

test('a launch that ends by itself is counted as leaving, so that no other is withdrawn in its stead', async () => {
  const { launchId, deploymentId } = await addNode(world, { state: 'releasing' })
  await db.updateTable('launches').set({ state: 'ending' }).where('id', '=', launchId).execute()
  const deployment = await loadDeployment(db, deploymentId, 3, now())
  const [holder] = deployment?.view.holders ?? []
  assert.deepEqual([holder?.launchId, holder?.live, holder?.unwanted], [launchId, false, true])
})

test('a launch that is back from a withdrawn notice is told apart, and takes its slot back only while nobody holds it', async () => {
  const { launchId, deploymentId } = await addNode(world, { state: 'ready' })
  await db.updateTable('launches').set({ holds_slot: false }).where('id', '=', launchId).execute()
  const view = async () => (await loadDeployment(db, deploymentId, 3, now()))?.view
  assert.deepEqual([(await view())?.holders.length, (await view())?.returned[0]?.launchId], [0, launchId])
  assert.equal((await loadLaunch(db, launchId))?.view.slot, 'free')
  const replacement = await addNode(world, { state: 'loading' })
  assert.equal((await view())?.holders[0]?.launchId, replacement.launchId)
  assert.equal((await loadLaunch(db, launchId))?.view.slot, 'taken')
  await db.updateTable('launches').set({ state: 'live' }).where('id', '=', replacement.launchId).execute()
  await setNodeState(world.deps.store, replacement.nodeId, 'ready')
  assert.equal((await loadLaunch(db, launchId))?.view.slot, 'served')
})

test('open requests are what the gateways that speak have at a node, and no longer what one said that fell silent', async () => {
  const { deploymentId, nodeId } = await addNode(world, { state: 'ready' })
  const reports = (id: string, count: number) =>
    db.transaction().execute((tx) => {
      const gateway = { id, url: 'http://gateway', fingerprint: null, startedAt: now(), tableVersion: null }
      return saveGateway(tx, { ...gateway, openRequests: { [nodeId]: count, other: 9 } }, now())
    })
  const open = async () => (await loadDeployment(db, deploymentId, 3, now()))?.view.holders[0]?.inFlight
  assert.equal(await open(), 0)
  await reports('one', 2)
  world.deps.clock.pass(40_000)
  await reports('two', 1)
  assert.equal(await open(), 3)
  world.deps.clock.pass(30_000)
  assert.equal(await open(), 1)
  world.deps.clock.pass(40_000)
  assert.equal(await open(), 0)
})

test('open requests are those of an agent that speaks: one that is silent keeps no machine by its last word', async () => {
  const { deploymentId, nodeId } = await addNode(world, { state: 'ready' })
  await db
    .insertInto('signals')
    .values({ node_id: nodeId })
    .onConflict((oc) => oc.doNothing())
    .execute()
  await db.updateTable('signals').set({ in_flight: 3 }).where('node_id', '=', nodeId).execute()
  const open = async (heartbeat: 'good' | 'unknown') => {
    const signals = { heartbeat, probe: 'unknown', sighting: 'good' }
    await db
      .updateTable('nodes')
      .set({ signals_judged: JSON.stringify(signals) })
      .where('id', '=', nodeId)
      .execute()
    return (await loadDeployment(db, deploymentId, 3, now()))?.view.holders[0]?.inFlight
  }
  assert.deepEqual([await open('good'), await open('unknown')], [3, 0])
})
