import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { failureRecord } from './failure.ts'
import {
  defaultSignalAges,
  healthScore,
  judge,
  type Standing,
  saidBefore,
  saidNow,
  signalsOf,
  silentSince,
  suspectLimitMs,
  type Witnesses,
} from './health.ts'
import { type Signals, signalValues, type Verdict, verdictOf } from './verdict-table.ts'

const now = 10_000_000
const silent: Witnesses = { heardAt: null, failure: null, readyAt: 0, probe: null, sighting: null }
const signals = (over: Partial<Witnesses>) => signalsOf({ ...silent, ...over }, defaultSignalAges, now)

describe('silence', () => {
  const since = (over: Partial<Witnesses>, listeningSince = 0) =>
    silentSince({ ...silent, ...over }, defaultSignalAges, listeningSince, now)

  test('begins after two lost heartbeats, and not while the engine answers', () => {
    assert.equal(since({ heardAt: now - 24_999 }), null)
    assert.equal(since({ heardAt: now - 25_000 }), now)
    assert.equal(since({ heardAt: now - 90_000, probe: { good: true, at: now - 20_000 } }), null)
    assert.equal(since({ heardAt: now - 90_000, probe: { good: false, at: now - 20_000 } }), now - 65_000)
  })

  test('is not counted from before we listened', () => {
    assert.equal(since({ heardAt: now - 90_000 }, now - 10_000), null)
  })
})

describe('signals', () => {
  test('a witness that never spoke is unknown', () => {
    assert.deepEqual(signals({}), { heartbeat: 'unknown', probe: 'unknown', sighting: 'unknown' })
  })

  test('a last word counts up to its age and is unknown past it, never bad', () => {
    const ages = { heartbeatMs: 50_000, probeMs: 90_000, sightingMs: 180_000 }
    assert.deepEqual(defaultSignalAges, ages)
    assert.equal(signals({ heardAt: now - 50_000 }).heartbeat, 'good')
    assert.equal(signals({ heardAt: now - 50_001 }).heartbeat, 'unknown')
    assert.equal(signals({ probe: { good: false, at: now - 90_000 } }).probe, 'bad')
    assert.equal(signals({ probe: { good: false, at: now - 90_001 } }).probe, 'unknown')
    assert.equal(signals({ sighting: { seen: 'absent', at: now - 180_000 } }).sighting, 'bad')
    assert.equal(signals({ sighting: { seen: 'absent', at: now - 180_001 } }).sighting, 'unknown')
  })

  test('a probe from before the engine first answered says nothing', () => {
    const probe = { good: false, at: now - 1_000 }
    assert.equal(signals({ probe, readyAt: now - 500 }).probe, 'unknown')
    assert.equal(signals({ probe, readyAt: null }).probe, 'unknown')
    assert.equal(signals({ probe, readyAt: now - 1_000 }).probe, 'bad')
  })

  test('a failure that the agent tells makes its fresh word bad, and an old one stays unknown', () => {
    const failure = failureRecord('engine_failed', 'x')
    assert.equal(signals({ heardAt: now, failure }).heartbeat, 'bad')
    assert.equal(signals({ heardAt: now - 60_000, failure }).heartbeat, 'unknown')
  })
})

describe('what is said', () => {
  const ages = defaultSignalAges
  const probe = (good: boolean, at: number): Witnesses => ({ ...silent, probe: { good, at } })

  test('keeps since when, however often it is said again, until something else is said or nothing any more', () => {
    const bad = saidNow(saidBefore(null, null), probe(false, now), ages, now + 2_000)
    assert.deepEqual([bad.signals.probe, bad.since.probe], ['bad', now])
    const again = saidNow(bad, probe(false, now + 600_000), ages, now + 600_000)
    assert.equal(again.since.probe, now)
    assert.equal(saidNow(again, probe(true, now + 610_000), ages, now + 612_000).since.probe, now + 610_000)
    const stale = now + 600_000 + ages.probeMs + 1
    const silence = saidNow(again, probe(false, now + 600_000), ages, stale + 3_000)
    assert.deepEqual([silence.signals.probe, silence.since.probe], ['unknown', stale])
  })

  test('is since nobody knows when by a witness that never spoke, or that was judged before that was kept', () => {
    assert.equal(saidNow(saidBefore(null, null), silent, ages, now).since.heartbeat, null)
    const before = saidBefore({ heartbeat: 'unknown', probe: 'bad', sighting: 'unknown' }, null)
    assert.equal(saidNow(before, probe(false, now), ages, now).since.probe, null)
  })
})

describe('judging', () => {
  const inputs: Signals[] = signalValues.flatMap((heartbeat) =>
    signalValues.flatMap((probe) => signalValues.map((sighting) => ({ heartbeat, probe, sighting }))),
  )
  const longAgo = now - suspectLimitMs

  const standing = (verdict: Verdict, since: number, over: Partial<Standing> = {}): Standing => ({
    verdict,
    since,
    accusations: 1,
    accusedAt: since,
    wellSince: null,
    ...over,
  })

  test('time turns a node that stays suspect into a dead one, and nothing else into anything', () => {
    for (const given of inputs) {
      const { verdict } = verdictOf(given)
      const after = judge(given, standing(verdict, longAgo), now).row.verdict
      assert.equal(after, verdict === 'suspect' ? 'dead' : verdict, JSON.stringify(given))
      assert.equal(judge(given, standing(verdict, longAgo + 1), now).row.verdict, verdict)
    }
  })

  test('a node that was called dead stays so while it is accused, and is believed when it serves again', () => {
    const dead = standing('dead', now)
    assert.equal(judge({ heartbeat: 'bad', probe: 'unknown', sighting: 'good' }, dead, now).row.verdict, 'dead')
    assert.equal(judge({ heartbeat: 'good', probe: 'good', sighting: 'good' }, dead, now).row.verdict, 'healthy')
  })

  test('a node that flaps has to be well for longer after each accusation, and a calm one at once', () => {
    const bad: Signals = { heartbeat: 'good', probe: 'bad', sighting: 'good' }
    const well: Signals = { heartbeat: 'good', probe: 'good', sighting: 'good' }
    let before = standing('healthy', 0, { accusations: 0, accusedAt: null })
    let at = now
    const see = (given: Signals, afterMs: number) => {
      at += afterMs
      const { row, ...next } = judge(given, before, at)
      const { verdict } = row
      before = { ...next, verdict, since: verdict === before.verdict ? before.since : at }
      return before.verdict
    }
    const waits = [0, 15, 30, 60, 120, 240, 300, 300].map((trialS) => {
      assert.equal(see(bad, 5_000), 'suspect')
      if (trialS > 0) {
        assert.equal(see(well, 5_000), 'suspect')
        assert.equal(see(bad, 1_000), 'suspect', 'what is well for a moment has not begun its return')
        assert.equal(see(well, 1_000), 'suspect')
        assert.equal(see(well, trialS * 1_000 - 1), 'suspect')
        return see(well, 1)
      }
      return see(well, 5_000)
    })
    assert.deepEqual(new Set(waits), new Set(['healthy']))
    see(bad, 10 * 60_000)
    assert.equal(see(well, 5_000), 'healthy', 'ten calm minutes end the bout')
  })

  test('a verdict as a number falls with what it says, and unknown has none', () => {
    assert.deepEqual((['healthy', 'degraded', 'suspect', 'dead', 'unknown'] as const).map(healthScore), [
      100,
      67,
      33,
      0,
      null,
    ])
  })
})
