import { afterAll, beforeAll, expect, test } from 'vitest'
import { PlaneClock } from './clock.ts'
import { type Plane, startPlane, until } from './plane.ts'

const hourMs = 3_600_000
const graceS = 1
const loops = ['health', 'node', 'sight']

const clock = new PlaneClock()
let plane: Plane
beforeAll(async () => {
  // Its engine loads for longer than the grace, so that the loops have looked at the launch after that.
  const scripts = { slow: { phasesMs: { weights_load: 15_000 } } }
  plane = await startPlane({ scripts, config: { graceS }, nodeArgs: clock.nodeArgs })
}, 120_000)
afterAll(async () => {
  await plane?.end()
  clock.end()
})

test('the clock is set ahead by an hour in the middle of a launch with a limit: its one machine serves, and as much time is left as before', async () => {
  const { id, deadlineAt } = await plane.launched('slow', { timeLimitS: 300 })
  const shown = () => plane.client.showLaunch({ params: { id } })
  await until(
    async () => (await shown()).attempts[0]?.nodeState === 'loading',
    60_000,
    () => 'the machine never loads',
  )
  const names = async () => [...(await plane.machines()).keys()]
  const machines = await names()
  await clock.jumpTo(plane, hourMs, loops)
  // The grace is over, and what it held back would be done now.
  await clock.passes(plane, loops, Date.now() + hourMs + graceS * 1_000)
  const live = await plane.reaches(id, ['live'], 90_000)
  expect([live.state, live.failure, live.attempts.length]).toEqual(['live', null, 1])
  const movedMs = Date.parse(live.deadlineAt ?? '') - Date.parse(deadlineAt ?? '')
  // The jump is measured between two beats of a loop.
  expect(Math.abs(movedMs - hourMs)).toBeLessThan(5_000)
  expect(await names()).toEqual(machines)
}, 240_000)
