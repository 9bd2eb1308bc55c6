import { afterEach, beforeEach, expect, test } from 'vitest'
import { orderOf } from '../core/orders.ts'
import { knownNodes } from '../store/heard.ts'
import {
  addNode,
  cheapOffer,
  dueAt,
  forgetNudges,
  setNodeState,
  type TestWorld,
  testWorld,
} from '../store/world-for-tests.ts'
import type { NoticeReport } from '../wire/agent.ts'
import { makeHeartbeats } from './heartbeat.ts'
import { makeJoins } from './join.ts'
import { joinedNode } from './joined-for-tests.ts'
import { heartbeat, joinRequest, noticeReport } from './messages-for-tests.ts'
import { makeNoticeIntake, type NoticeIntake } from './notice.ts'
import { makeRouteTables } from './routes.ts'

let world: TestWorld
let intake: NoticeIntake
let nodeId: string
let credential: string

beforeEach(async () => {
  world = await testWorld()
  intake = makeNoticeIntake(world.deps)
  ;({ nodeId, credential } = await joinedNode(world, 'ready'))
})
afterEach(() => world.drop())

const db = () => world.deps.store.db
const node = () => db().selectFrom('nodes').selectAll().where('id', '=', nodeId).executeTakeFirstOrThrow()
const tell = (over: Partial<NoticeReport> = {}) => intake.take(credential, noticeReport(over), '10.9.9.9')
const reclaim = (leftMs = 120_000) => ({
  source: 'aws' as const,
  kind: 'reclaim' as const,
  action: 'terminate',
  leftMs,
})
const told = async () =>
  (await db().selectFrom('events').select('kind').where('kind', 'like', 'node.notice%').orderBy('id').execute()).map(
    ({ kind }) => kind,
  )
const isRouted = async () => (await makeRouteTables(world.deps, () => undefined).current()).nodes[0]?.routable

test('a notice is kept, told in the timeline, takes the node out of the routing table and wakes its loop', async () => {
  await forgetNudges(world.deps.store)
  expect(await isRouted()).toBe(true)
  expect(await tell({ notice: reclaim() })).toMatchObject({ order: 'drain', drainDeadlineMs: 110_000 })
  const now = world.deps.clock.now()
  expect((await node()).notice).toMatchObject({ action: 'terminate', toldAt: now, takenAt: now + 120_000 })
  expect(await told()).toEqual(['node.notice'])
  expect(await dueAt(world.deps.store, nodeId)).toBe(now)
  expect(await isRouted()).toBe(false)
})

test('one that is repeated with a sliding time is one notice', async () => {
  for (let i = 0; i < 5; i++) {
    await tell({ notice: reclaim() })
    world.deps.clock.pass(1_000)
  }
  expect((await node()).notice?.takenAt).toBe(world.deps.clock.now() - 5_000 + 120_000)
  expect(await told()).toEqual(['node.notice'])
})

test('a withdrawal brings the node back, with the drain that was done for the notice, but not one that was asked for', async () => {
  await tell({ notice: reclaim() })
  await makeHeartbeats(world.deps).take(credential, heartbeat({ draining: true, drained: true }), '10.9.9.9')
  expect((await node()).drained_at).not.toBeNull()
  expect(await tell()).toMatchObject({ order: 'run' })
  expect(await node()).toMatchObject({ notice: null, drained_at: null })
  expect(await told()).toEqual(['node.notice', 'node.notice_withdrawn'])

  await db().updateTable('nodes').set({ drain_asked_at: new Date(), drained_at: new Date() }).execute()
  await tell({ notice: reclaim() })
  expect(await tell()).toMatchObject({ order: 'drain' })
  expect((await node()).drained_at).not.toBeNull()
})

test('a service that falls silent withdraws nothing; it and its return are told once', async () => {
  await tell({ notice: reclaim() })
  for (let i = 0; i < 2; i++) await tell({ serviceAnswers: false })
  expect((await node()).notice?.action).toBe('terminate')
  await tell({ notice: reclaim() })
  expect(await told()).toEqual(['node.notice', 'node.notice_silent', 'node.notice_heard'])
})

test('a risk is told and moves nothing', async () => {
  const risk = { source: 'aws' as const, kind: 'rebalance' as const, action: 'rebalance', leftMs: null }
  expect(await tell({ notice: risk })).toMatchObject({ order: 'run' })
  expect(await isRouted()).toBe(true)
  expect(await told()).toEqual(['node.notice'])
})

test('of a node that is on its way out nothing is kept, and its agent is told to end', async () => {
  await setNodeState(world.deps.store, nodeId, 'releasing')
  expect(await tell({ notice: reclaim() })).toMatchObject({ order: 'end' })
  expect((await node()).notice).toBeNull()
  expect(await told()).toEqual([])
})

test('a stranger tells nothing: not with another credential, nor as a second agent of the node', async () => {
  await expect(intake.take(`${credential}x`, noticeReport({ notice: reclaim() }), '')).rejects.toMatchObject({
    code: 'credential_refused',
  })
  await expect(tell({ incarnation: 'a-stranger', notice: reclaim() })).rejects.toMatchObject({ code: 'second_holder' })
  const known = (await knownNodes(db(), [nodeId])).get(nodeId)
  expect(known && orderOf(known, world.deps.clock.now()).order).toBe('run')
})

test('an agent is told at its join which service it may ask, and one in a cloud without any is told none', async () => {
  for (const [cloud, service] of [
    ['aws', 'aws'],
    ['slurm/one', null],
  ] as const) {
    const made = await addNode(world, { offer: { ...cheapOffer, cloud } })
    const reply = await makeJoins(world.deps).join(made.joinToken, joinRequest({ instance: cloud }), '10.9.9.9')
    expect(reply.noticeService).toBe(service)
  }
})
