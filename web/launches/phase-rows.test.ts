import { expect, test } from 'vitest'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { phaseRows } from './phase-rows.ts'

type Phase = LaunchDetail['phases'][number]

const phase = (attemptId: string | null, name: Phase['phase'], endedAt: string | null): Phase => ({
  attemptId,
  phase: name,
  startedAt: '2026-03-01T12:00:00.000Z',
  endedAt,
  percent: null,
  bytes: null,
  bytesPerS: null,
})

const end = '2026-03-01T12:01:00.000Z'
const failure = { code: 'boot_timeout', fault: 'cloud', retry: 'elsewhere', cause: 'Late.', remedy: 'Wait.' } as const

const launch = (over: Partial<LaunchDetail> = {}): LaunchDetail =>
  ({
    state: 'attempting',
    failure: null,
    attempts: [
      { id: 'a1', failure },
      { id: 'a2', failure: null },
    ],
    phases: [
      phase(null, 'queued', end),
      phase('a1', 'booting', end),
      phase('a2', 'requesting', end),
      phase('a2', 'weights_load', null),
    ],
    phasesToCome: [],
    steps: [],
    ...over,
  }) as LaunchDetail

const fates = (of: LaunchDetail, attempt?: LaunchDetail['attempts'][number]) =>
  phaseRows(of, attempt).map(({ name, fate }) => `${name}: ${fate}`)

test('the wait in the queue and the phases of the last attempt are shown, or of the one that is chosen', () => {
  expect(fates(launch())).toEqual(['queued: done', 'requesting: done', 'weights load: open'])
  expect(fates(launch(), launch().attempts[0])).toEqual(['queued: done', 'booting: broken'])
})

test('a launch that failed is broken where it stood, one that was cancelled was stopped there', () => {
  expect(fates(launch({ state: 'failed', failure })).at(-1)).toBe('weights load: broken')
  expect(fates(launch({ state: 'ended' })).at(-1)).toBe('weights load: stopped')
  const cancelled = launch({ state: 'ending', failure: { ...failure, code: 'cancelled' } })
  expect(fates(cancelled).at(-1)).toBe('weights load: stopped')
})

test('a phase says what was fetched and how fast, and what the cloud worked on, escape codes as text', () => {
  const fetched = { ...phase('a2', 'requesting', end), bytes: 3_300_000_000, bytesPerS: 84_000_000 }
  const step = {
    attemptId: 'a2',
    phase: 'requesting',
    text: '\u001b[1mlooking',
    startedAt: end,
    endedAt: null,
  } as const
  const [, row] = phaseRows(launch({ phases: [phase(null, 'queued', end), fetched], steps: [step] }))
  expect(row?.details).toEqual(['3.3 GB at 84 MB/s', '\\x1b[1mlooking'])
})
