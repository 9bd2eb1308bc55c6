import assert from 'node:assert/strict'
import { test } from 'vitest'
import { isRoutable, type Signals, severity, signalValues, verdictOf, verdicts, verdictTable } from './verdict-table.ts'

const inputs: Signals[] = signalValues.flatMap((heartbeat) =>
  signalValues.flatMap((probe) => signalValues.map((sighting) => ({ heartbeat, probe, sighting }))),
)

test('each of the 27 inputs has a row, and each row is the first for some input', () => {
  assert.deepEqual(
    inputs.map(Object.values),
    all.map((one) => one.slice(0, 3)),
  )
  const used = new Set(inputs.map((signals) => verdictOf(signals).row))
  assert.deepEqual([...used].sort(), verdictTable.map(({ row }) => row).sort())
})

test('losing any signal, whatever the other two say, never worsens the verdict', () => {
  for (const signals of inputs) {
    for (const lost of ['heartbeat', 'probe', 'sighting'] as const) {
      const before = severity[verdictOf(signals).verdict]
      const after = severity[verdictOf({ ...signals, [lost]: 'unknown' }).verdict]
      assert.ok(after <= before, `${JSON.stringify(signals)} without ${lost}: ${before} to ${after}`)
    }
  }
})

// Heartbeat, probe, sighting: what each of the 27 means.
const all = [
  ['good', 'good', 'good', 'healthy', 'serves'],
  ['good', 'good', 'bad', 'degraded', 'cloud-disagrees'],
  ['good', 'good', 'unknown', 'healthy', 'serves'],
  ['good', 'bad', 'good', 'suspect', 'engine-silent'],
  ['good', 'bad', 'bad', 'suspect', 'engine-silent'],
  ['good', 'bad', 'unknown', 'suspect', 'engine-silent'],
  ['good', 'unknown', 'good', 'healthy', 'agent-vouches'],
  ['good', 'unknown', 'bad', 'degraded', 'cloud-against-agent'],
  ['good', 'unknown', 'unknown', 'healthy', 'agent-vouches'],
  ['bad', 'good', 'good', 'suspect', 'agent-says-failed'],
  ['bad', 'good', 'bad', 'suspect', 'agent-says-failed'],
  ['bad', 'good', 'unknown', 'suspect', 'agent-says-failed'],
  ['bad', 'bad', 'good', 'suspect', 'agent-says-failed'],
  ['bad', 'bad', 'bad', 'dead', 'all-bad'],
  ['bad', 'bad', 'unknown', 'suspect', 'agent-says-failed'],
  ['bad', 'unknown', 'good', 'suspect', 'agent-says-failed'],
  ['bad', 'unknown', 'bad', 'suspect', 'agent-says-failed'],
  ['bad', 'unknown', 'unknown', 'suspect', 'agent-says-failed'],
  ['unknown', 'good', 'good', 'healthy', 'serves'],
  ['unknown', 'good', 'bad', 'degraded', 'cloud-disagrees'],
  ['unknown', 'good', 'unknown', 'healthy', 'serves'],
  ['unknown', 'bad', 'good', 'suspect', 'engine-silent'],
  ['unknown', 'bad', 'bad', 'suspect', 'engine-silent'],
  ['unknown', 'bad', 'unknown', 'suspect', 'engine-silent'],
  ['unknown', 'unknown', 'good', 'unknown', 'only-seen'],
  ['unknown', 'unknown', 'bad', 'degraded', 'cloud-alone-says-gone'],
  ['unknown', 'unknown', 'unknown', 'unknown', 'no-witness'],
] as const

test.each(all)(
  'heartbeat %s, probe %s, sighting %s: the node is %s (%s)',
  (heartbeat, probe, sighting, verdict, row) => {
    const found = verdictOf({ heartbeat, probe, sighting })
    assert.deepEqual([found.verdict, found.row], [verdict, row])
  },
)

test('only all three witnesses together call a node dead', () => {
  const dead = inputs.filter((signals) => verdictOf(signals).verdict === 'dead')
  assert.deepEqual(dead, [{ heartbeat: 'bad', probe: 'bad', sighting: 'bad' }])
})

test('silence alone accuses nobody', () => {
  for (const signals of inputs.filter((signals) => Object.values(signals).every((value) => value !== 'bad')))
    assert.equal(severity[verdictOf(signals).verdict], 0, JSON.stringify(signals))
})

test('suspect and dead take traffic away, nothing else does', () => {
  assert.deepEqual(
    verdicts.filter((verdict) => !isRoutable(verdict)),
    ['suspect', 'dead'],
  )
})
