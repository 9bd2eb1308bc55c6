import { afterEach, beforeEach, expect, test } from 'vitest'
import { failureRecord } from '../core/failure.ts'
import { enterPhase } from '../store/phases.ts'
import { dueAt, forgetNudges, setNodeState, type TestWorld, testWorld } from '../store/world-for-tests.ts'
import type { ProgressReport } from '../wire/agent.ts'
import { joinedNode } from './joined-for-tests.ts'
import { progress } from './messages-for-tests.ts'
import { makeProgressIntake, type ProgressIntake } from './progress.ts'

let world: TestWorld
let intake: ProgressIntake
let nodeId: string
let credential: string
beforeEach(async () => {
  world = await testWorld()
  intake = makeProgressIntake(world.deps)
  ;({ nodeId, credential } = await joinedNode(world, 'loading'))
})
afterEach(() => world.drop())

const db = () => world.deps.store.db
const tell = (over: Partial<ProgressReport>) => intake.take(credential, progress(over), '10.9.9.9')
const node = () => db().selectFrom('nodes').selectAll().where('id', '=', nodeId).executeTakeFirstOrThrow()
const lines = () => db().selectFrom('log_lines').select(['n', 'text']).orderBy('n').execute()
const count = async (kind: string) =>
  (await db().selectFrom('events').select('id').where('kind', '=', kind).execute()).length
const line = (n: number, text = `line ${n}`) => ({ n, source: 'engine' as const, text })
const entered = (phase: string, agoMs: number, percent: number | null = null) => {
  return { phase, agoMs, percent, bytes: null, bytesPerS: null }
}

/** Phases with their times in ms after the join. */
async function phases() {
  const { joined_at } = await node()
  const rows = await db().selectFrom('phases').selectAll().orderBy('started_at').execute()
  const since = (ms: number | null) => (ms === null ? null : ms - (joined_at ?? 0))
  return rows.map(({ phase, started_at, ended_at, percent }) => [phase, since(started_at), since(ended_at), percent])
}

test('phases follow each other without a gap, as the agent timed them', async () => {
  world.deps.clock.pass(1_000)
  await tell({ phases: [entered('engine_start', 900), entered('weights_load', 300, 10)] })
  world.deps.clock.pass(1_000)
  await tell({ phases: [entered('weights_load', 0, 55), entered('graphs', 0)] })
  expect(await phases()).toEqual([
    ['joined', 0, 100, null],
    ['engine_start', 100, 700, null],
    ['weights_load', 700, 2_000, 55],
    ['graphs', 2_000, null, null],
  ])
})

test('a report that comes twice or late changes nothing: what has ended stays so', async () => {
  world.deps.clock.pass(1_000)
  const report = { phases: [entered('engine_start', 900), entered('graphs', 300)], lines: [line(0), line(1)] }
  await tell(report)
  const before = await phases()
  await tell({ ...report, phases: [entered('engine_start', 900, 3)] })
  await enterPhase(db(), nodeId, 'joined', world.deps.clock.now())
  expect(await phases()).toEqual(before)
  expect(await lines()).toEqual([line(0), line(1)].map(({ n, text }) => ({ n, text })))
})

test('a phase that only a newer agent knows is left out and told of, not more than once a minute', async () => {
  for (let i = 0; i < 3; i++) await tell({ phases: [entered('levitating', 0), entered('queued', 0)] })
  expect(await count('agent.unknown_phase')).toBe(1)
  expect((await phases()).map(([phase]) => phase)).toEqual(['joined'])
})

test('no phase is opened on a node that serves already', async () => {
  await tell({ answeredAgoMs: 0 })
  await tell({ phases: [entered('verifying', 0)] })
  expect((await phases()).map(([phase]) => phase)).toEqual(['joined'])
})

test('the first answer of the engine is kept, told and wakes the node loop; the second is not', async () => {
  world.deps.clock.pass(5_000)
  await forgetNudges(world.deps.store)
  await tell({ answeredAgoMs: 200 })
  expect((await node()).answered_at).toBe(world.deps.clock.now() - 200)
  expect(await dueAt(world.deps.store, nodeId)).toBe(world.deps.clock.now())
  await forgetNudges(world.deps.store)
  await tell({ answeredAgoMs: 0 })
  expect((await node()).answered_at).toBe(world.deps.clock.now() - 200)
  expect(await dueAt(world.deps.store, nodeId)).toBeGreaterThan(world.deps.clock.now())
  expect(await count('node.answered')).toBe(1)
})

test('the first failure is the one that counts', async () => {
  await forgetNudges(world.deps.store)
  await tell({ failure: failureRecord('engine_failed', 'out of memory', { evidence: 'CUDA\0 OOM' }) })
  await tell({ failure: failureRecord('engine_exited', 'exit code 1') })
  expect((await node()).failure).toMatchObject({ cause: 'out of memory', evidence: 'CUDA OOM' })
  expect(await dueAt(world.deps.store, nodeId)).toBe(world.deps.clock.now())
  expect(await count('node.failure')).toBe(1)
})

test('only the last five thousand lines of a node are kept', async () => {
  for (let from = 0; from < 6_250; from += 500)
    await tell({ lines: Array.from({ length: Math.min(500, 6_250 - from) }, (_, i) => line(from + i)) })
  const kept = await lines()
  expect(kept.at(-1)?.n).toBe(6_249)
  expect(kept.length).toBeGreaterThanOrEqual(5_000)
  expect(kept.length).toBeLessThanOrEqual(5_500)
})

test('a report is a word of the node, and its answer carries the order', async () => {
  world.deps.clock.pass(3_000)
  expect(await tell({})).toMatchObject({ order: 'run' })
  const { heard_at } = await db().selectFrom('signals').select('heard_at').executeTakeFirstOrThrow()
  expect(heard_at).toBe(world.deps.clock.now())
  await setNodeState(world.deps.store, nodeId, 'releasing')
  expect(await tell({})).toMatchObject({ order: 'end' })
  await setNodeState(world.deps.store, nodeId, 'gone')
  await expect(tell({})).rejects.toMatchObject({ code: 'node_released' })
  await expect(intake.take(`${credential}x`, progress(), '')).rejects.toMatchObject({ code: 'credential_refused' })
})

test('a restarted agent takes over with its first report; a copy of it is refused', async () => {
  await tell({ incarnation: 'incarnation-2', previous: 'incarnation-1', lines: [line(0)] })
  await expect(tell({ lines: [line(1)] })).rejects.toMatchObject({ code: 'second_holder' })
  expect(await lines()).toHaveLength(1)
  expect(await count('node.second_holder')).toBe(1)
})
