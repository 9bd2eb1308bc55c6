import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { agentPhases, isPhase, launchReadyAt, phaseOfStates, phases, progressOf } from './phases.ts'

const pasts = fc.oneof(
  fc.constant(new Map<string, number>()),
  fc
    .array(fc.tuple(fc.constantFrom(...phases), fc.integer({ min: 0, max: 600_000 })), { minLength: 1 })
    .map((all) => new Map(all)),
)
const shares = fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null })

test('progress never goes back within a phase as time passes', () => {
  const times = fc.tuple(fc.nat(3_600_000), fc.nat(3_600_000))
  fc.assert(
    fc.property(fc.constantFrom(...phases), times, pasts, (phase, [a, b], past) => {
      const [sooner, later] = [Math.min(a, b), Math.max(a, b)]
      assert.ok(progressOf(phase, sooner, null, past).percent <= progressOf(phase, later, null, past).percent)
    }),
  )
})

test('progress never goes back from a phase to the next, when each took as long as in the past', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: phases.length - 2 }), pasts, (at, past) => {
      const [here, next] = [phases[at], phases[at + 1]]
      assert.ok(here && next)
      const end = progressOf(here, past.get(here) ?? 0, 1, past).percent
      assert.ok(progressOf(next, 0, null, past).percent >= end, `${here} ended at ${end}`)
    }),
  )
})

test('progress is between 0 and 99 until the node is ready, and 100 then', () => {
  fc.assert(
    fc.property(fc.constantFrom(...phases), fc.nat(10_000_000), shares, pasts, (phase, elapsed, within, past) => {
      const { percent, etaMs } = progressOf(phase, elapsed, within, past)
      assert.ok(phase === 'ready' ? percent === 100 : percent >= 0 && percent <= 99, `${phase}: ${percent}`)
      assert.ok(etaMs === null || etaMs >= 0)
    }),
  )
})

test('without a past no time is promised; with one it is what is left of the medians', () => {
  assert.equal(progressOf('booting', 0, null, new Map()).etaMs, null)
  const past = new Map([
    ['requesting', 1_000],
    ['booting', 20_000],
    ['warmup', 4_000],
  ])
  assert.deepEqual(progressOf('booting', 5_000, null, past), { phase: 'booting', percent: 24, etaMs: 19_000 })
})

test('a phase that takes longer than ever creeps on and does not pass its end', () => {
  const past = new Map([
    ['booting', 1_000],
    ['warmup', 1_000],
  ])
  const { percent, etaMs } = progressOf('booting', 1_000_000, null, past)
  assert.ok(percent < 100)
  assert.ok(etaMs !== null && etaMs >= 1_000 && etaMs < 1_100)
})

test('the states alone name a phase, for a launch that waits as for one that is live', () => {
  assert.equal(phaseOfStates('queued', null), 'queued')
  assert.equal(phaseOfStates('attempting', 'intended'), 'queued')
  assert.equal(phaseOfStates('attempting', 'requesting'), 'requesting')
  assert.equal(phaseOfStates('attempting', 'booting'), 'booting')
  assert.equal(phaseOfStates('attempting', 'loading'), 'joined')
  assert.equal(phaseOfStates('attempting', 'ready'), 'ready')
  assert.equal(phaseOfStates('live', 'ready'), 'ready')
})

test('the agent reports the phases between its joining and the readiness', () => {
  assert.equal(agentPhases[0], 'joined')
  assert.equal(agentPhases.at(-1), 'verifying')
  assert.ok(agentPhases.every(isPhase))
  assert.equal(isPhase('lunch'), false)
})

test('a launch answers since its last attempt did, and not since an earlier one did', () => {
  const [began, since] = ['2026-03-01T12:00:00.000Z', '2026-03-01T12:01:00.000Z']
  const launch = (attemptId: string) => ({
    state: 'attempting' as const,
    stateSince: since,
    attempts: [{ id: 'a1' }, { id: 'a2' }],
    phases: [{ attemptId, phase: 'ready' as const, startedAt: began }],
  })
  assert.equal(launchReadyAt(launch('a1')), null)
  assert.equal(launchReadyAt(launch('a2')), began)
  assert.equal(launchReadyAt({ ...launch('a1'), state: 'live' }), since)
})
