import assert from 'node:assert/strict'
import { afterAll, beforeEach, test } from 'vitest'
import { decideNode } from '../core/decide-node.ts'
import { traits } from '../core/decide-node-for-tests.ts'
import { type GuardKind, guardKinds } from '../core/guard.ts'
import type { Verdict } from '../core/verdict-table.ts'
import { type Claim, claimDue } from './claims.ts'
import { at } from './database.ts'
import { saveGuard } from './guard.ts'
import { loadNode, saveNodeDecision } from './nodes.ts'
import { addNode, setNodeState, type TestWorld, testWorld } from './world-for-tests.ts'

let world: TestWorld
const worlds: TestWorld[] = []
beforeEach(async () => {
  world = await testWorld()
  worlds.push(world)
})
afterAll(() => Promise.all(worlds.map(({ drop }) => drop())))

type Node = Awaited<ReturnType<typeof addNode>>
const db = () => world.deps.store.db
const now = () => world.deps.clock.now()

const judged = ({ nodeId }: Node, verdict: Verdict) =>
  db().updateTable('nodes').set({ verdict }).where('id', '=', nodeId).execute()
const guarded = (kind: GuardKind | null) =>
  db()
    .transaction()
    .execute((tx) => saveGuard(tx, kind && { kind, reason: 'A test.', until: null }, now()))

const released = ({ nodeId }: Node) =>
  db()
    .updateTable('nodes')
    .set({ unwanted_at: at(now()) })
    .where('id', '=', nodeId)
    .execute()

/** A node that is dead and has given up its slot, and one that holds this slot since and does not serve yet. */
async function deadWithReplacement(): Promise<{ dead: Node; other: Node }> {
  const dead = await addNode(world, { state: 'ready' })
  await judged(dead, 'dead')
  await db().updateTable('launches').set({ holds_slot: false }).where('id', '=', dead.launchId).execute()
  return { dead, other: await addNode(world, { state: 'loading' }) }
}

async function serves(node: Node): Promise<void> {
  await setNodeState(world.deps.store, node.nodeId, 'ready')
  await db().updateTable('launches').set({ state: 'live' }).where('id', '=', node.launchId).execute()
  await judged(node, 'healthy')
}

async function load({ nodeId }: Node) {
  const node = await loadNode(db(), nodeId, { watchedSince: 0, silentAfterMs: 25_000 })
  assert.ok(node)
  return node
}
const factOf = async (node: Node) => decideNode((await load(node)).view, traits, now()).fact

async function claimOn({ nodeId }: Node): Promise<Claim> {
  const who = { holder: 'server-1', realms: ['local'], acts: true }
  const claim = (await claimDue(db(), 'node', 100, now(), 20_000, who)).find(({ rowId }) => rowId === nodeId)
  assert.ok(claim)
  return claim
}

test('under a guard no dead node goes until another one serves in its slot, and where all have yet to be heard not even then', async () => {
  const { dead, other } = await deadWithReplacement()
  assert.equal(await factOf(dead), 'dead', 'no guard holds')
  for (const kind of guardKinds) {
    await guarded(kind)
    assert.equal(await factOf(dead), null, kind)
  }
  await serves(other)
  const goes = new Map<GuardKind, string | null>()
  for (const kind of guardKinds) {
    await guarded(kind)
    goes.set(kind, await factOf(dead))
  }
  assert.deepEqual(Object.fromEntries(goes), {
    ...{ start: null, gap: null, clock: null, held_up: null },
    ...{ suspects: 'dead', gpu_faults: 'dead' },
  })
})

test('a node in whose slot another one stands that is accused itself, or in whose slot nothing stands, is kept while many are suspect', async () => {
  const { dead, other } = await deadWithReplacement()
  await serves(other)
  await guarded('suspects')
  for (const verdict of ['suspect', 'dead'] as const) {
    await judged(other, verdict)
    assert.equal(await factOf(dead), null, `the other one is ${verdict}`)
  }
  const alone = await addNode(world, { state: 'ready' })
  await judged(alone, 'dead')
  assert.equal(await factOf(alone), null)
})

test('a node that a person releases goes, whatever the guard says', async () => {
  const node = await addNode(world, { state: 'ready' })
  await judged(node, 'dead')
  await guarded('suspects')
  await released(node)
  assert.equal(await factOf(node), 'unwanted')
})

test('a dead node of a paused deployment stays until the deployment is resumed, or the node is released by hand', async () => {
  const nodes = [await addNode(world, { state: 'ready' }), await addNode(world, { state: 'ready' })] as const
  for (const node of nodes) await judged(node, 'dead')
  const pause = (paused: boolean) => db().updateTable('deployments').set({ paused }).execute()
  await pause(true)
  assert.deepEqual([await factOf(nodes[0]), await factOf(nodes[1])], [null, null])
  await released(nodes[0])
  assert.equal(await factOf(nodes[0]), 'unwanted')
  await pause(false)
  assert.equal(await factOf(nodes[1]), 'dead')
})

test('what was decided before the guard held, or while another one still served, is not carried out', async () => {
  const { dead, other } = await deadWithReplacement()
  await serves(other)
  const claim = await claimOn(dead)
  const carriedOut = async (meanwhile: () => Promise<unknown>) => {
    const node = await load(dead)
    const decision = decideNode(node.view, traits, now())
    assert.equal(decision.fact, 'dead')
    await meanwhile()
    const saved = await saveNodeDecision(db(), claim, node, decision, now())
    return [saved, (await load(dead)).view.state]
  }
  assert.deepEqual(await carriedOut(() => guarded('held_up')), [false, 'ready'])
  await guarded('suspects')
  assert.deepEqual(await carriedOut(() => judged(other, 'suspect')), [false, 'ready'])
  await judged(other, 'healthy')
  assert.deepEqual(await carriedOut(async () => undefined), [true, 'releasing'])
})
