import assert from 'node:assert/strict'
import { test } from 'vitest'
import { phases } from './phases.ts'
import { type PhaseSpent, type TimeSpent, whereTimeWent } from './time-limit.ts'

const min = 60_000
const spent = (phase: PhaseSpent['phase'], minutes: number, over: Partial<PhaseSpent> = {}): PhaseSpent => ({
  phase,
  ms: minutes * min,
  isOpen: false,
  bytesPerS: null,
  ...over,
})
const told = (limitMin: number, phases: PhaseSpent[], over: Partial<TimeSpent> = {}) =>
  whereTimeWent({ limitMs: limitMin * min, phases, step: null, cloudSilent: null, lastLines: [], ...over })
const open = { isOpen: true }

test('the phase that was open is to blame, with its minutes and what it likely means', () => {
  assert.equal(
    told(15, [spent('queued', 1), spent('requesting', 14, open)])?.cause,
    '14 of 15 min in provisioning: likely no capacity.',
  )
  assert.equal(
    told(30, [spent('requesting', 2), spent('model_fetch', 28, { ...open, bytesPerS: 3_140_000 })])?.cause,
    '28 of 30 min in fetching the model at 3.1 MB/s: likely a slow download.',
  )
  assert.match(told(30, [spent('compile', 25, open)])?.cause ?? '', /25 of 30 min in starting the engine \(compile\)/)
})

test('where another phase took more of the time it is named as well, and still the open one is the cause', () => {
  const why = told(30, [spent('weights_download', 27, { bytesPerS: 2_000_000 }), spent('engine_init', 3, open)])
  assert.equal(
    why?.cause,
    '3 of 30 min in starting the engine (engine init), after 27 min in downloading the weights at 2.0 MB/s: likely an engine that starts slowly or hangs.',
  )
  assert.match(why?.remedy ?? '', /Read its log/)
  const later = told(30, [spent('requesting', 20), spent('booting', 10, open)], { cloudSilent: 'It is away.' })
  assert.match(
    later?.cause ?? '',
    /^10 of 30 min in the start of the machine, after 20 min in provisioning, and nobody/,
  )
})

test('between two attempts no phase is open: then the longest is told', () => {
  assert.equal(
    told(15, [spent('queued', 1), spent('requesting', 13)])?.cause,
    '13 of 15 min in provisioning: likely no capacity.',
  )
})

test('what the cloud worked on last is told of a machine that never came', () => {
  const step = 'Launching on AWS us-east-1 (us-east-1b).'
  assert.match(
    told(10, [spent('requesting', 10, open)], { step })?.cause ?? '',
    /Its cloud worked on: Launching on AWS/,
  )
  assert.doesNotMatch(told(10, [spent('booting', 10, open)], { step })?.cause ?? '', /worked on/)
})

test('a cloud that nobody could ask is to blame for what waited for it, and for nothing else', () => {
  const cloudSilent = 'The SkyPilot API server at http://sky does not answer.'
  const { cause, remedy } = told(15, [spent('requesting', 14, open)], { cloudSilent }) ?? {}
  assert.match(
    cause ?? '',
    /^14 of 15 min in provisioning, and nobody could ask the cloud: .*http:\/\/sky does not answer/,
  )
  assert.match(remedy ?? '', /server/)
  assert.match(told(30, [spent('compile', 25, open)], { cloudSilent })?.cause ?? '', /likely an engine/)
})

test('a short limit is told in seconds, and every phase has words and a remedy', () => {
  for (const phase of phases) {
    const { cause, remedy } = told(1, [spent(phase, 1, open)]) ?? {}
    assert.match(cause ?? '', /^60 of 60 s in /, phase)
    assert.ok(remedy, phase)
  }
  assert.equal(told(1, []), null)
})
