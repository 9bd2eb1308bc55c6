import { expect, test } from 'vitest'
import type { LaunchDetail } from '../wire/views.ts'
import { changeLines, progressLines } from './launch-progress.ts'
import { widthOf } from './plain-text.ts'
import {
  ascii,
  at,
  attempt,
  engineFailure,
  failedLaunch,
  launch,
  liveLaunch,
  now,
  phase,
  queuedLaunch,
  step,
} from './test-views.ts'

const quiet = { lastLine: null, trouble: null }

test('a launch on its way shows phases, times, percent, forecast and the last log line', () => {
  const frame = { launch: launch(), lastLine: 'Loading \u001b[31mweights\u001b[0m', now: now(8.2), trouble: null }
  expect(progressLines(frame, ascii(72))).toEqual([
    'sim-small on local here, $2.4900/h: starting                        8.2s',
    '  + queued             1.0s',
    '  + requesting         2.0s',
    '  > weights load       5.2s  50%',
    '  . compile',
    '  ################........................ 40%  about 12s left',
    '  | Loading weights',
  ])
})

test('what is fetched is shown with its size and speed, and told once it is done', () => {
  const fetching = { ...phase('engine_install', 1, null, 40), bytes: 3_300_000_000, bytesPerS: 84_000_000 }
  const open = launch({ phase: 'engine_install', phases: [phase('queued', 0, 1), fetching] })
  expect(progressLines({ launch: open, now: now(40), ...quiet }, ascii(72))[2]).toBe(
    '  > engine install      39s  40%  3.3 GB at 84 MB/s',
  )
  const done = launch({ phases: [phase('queued', 0, 1), { ...fetching, endedAt: at(60) }] })
  expect(changeLines(open, done, now(60))).toEqual(['  1m00s  engine install done: 3.3 GB at 84 MB/s'])
  expect(changeLines(done, done, now(61))).toEqual([])
})

test('a launch that waits shows its place in the queue', () => {
  expect(progressLines({ launch: queuedLaunch(3), now: now(2), ...quiet }, ascii(72))).toEqual([
    'sim-small: queued                                                   2.0s',
    '  > queued             2.0s  place 3',
    '  . requesting',
    '  ........................................ 0%',
  ])
})

test('a launch that serves stops its clock at the first answer', () => {
  const lines = progressLines({ launch: liveLaunch(), now: now(500), ...quiet }, ascii(72))
  expect(lines[0]).toBe('sim-small on local here, $2.4900/h: live                             10s')
  expect(lines.at(-1)).toBe('  ######################################## 100%  serving')
})

test('a failed attempt keeps its cause on the screen while the next one runs', () => {
  const first = attempt({ id: 'at-0000000000', outcome: 'failed', closedAt: at(5), failure: engineFailure })
  const second = launch({ attempts: [first, attempt({ ordinal: 2 })] })
  const lines = progressLines({ launch: second, now: now(9), ...quiet }, ascii(72))
  expect(lines[0]).toContain('(attempt 2)')
  expect(lines[1]).toBe('  x attempt 1: The weights file is damaged.')
})

test('what comes next is told with how long it usually takes, where the past knows that', () => {
  const next = (over: Partial<LaunchDetail>) =>
    progressLines({ launch: launch({ phase: 'booting', ...over }), now: now(9), ...quiet }, ascii(72)).find((line) =>
      line.startsWith('  . '),
    )
  expect(next({})).toBe('  . joined')
  expect(next({ phasesToCome: [{ phase: 'weights_load', usualMs: 62_000 }] })).toMatch(
    /^ {2}\. weights load +usually 1m02s$/,
  )
})

test('the phase that runs is never marked as failed for an attempt before it; the one where a launch failed is', () => {
  const phases = [phase('queued', 0, 1), phase('weights_load', 1, null)]
  const drawn = (over: Partial<LaunchDetail>) =>
    progressLines({ launch: launch({ phases, failure: engineFailure, ...over }), now: now(9), ...quiet }, ascii(72))
  expect(drawn({}).some((line) => /^ {2}> weights load/.test(line))).toBe(true)
  const ended = [phase('queued', 0, 1), phase('weights_load', 1, 5)]
  expect(drawn({ state: 'failed', phases: ended }).some((line) => /^ {2}x weights load/.test(line))).toBe(true)
})

test('no line is wider and no picture higher than the screen', () => {
  const many = [
    phase('queued', 0, 1),
    phase('requesting', 1, 2),
    phase('booting', 2, 3),
    phase('joined', 3, 4),
    phase('engine_start', 4, 5),
    phase('weights_load', 5, null),
  ]
  const frame = { launch: launch({ phases: many }), now: now(9), lastLine: 'x'.repeat(300), trouble: 'y'.repeat(300) }
  for (const columns of [1, 12, 20, 30, 47, 80]) {
    for (const line of progressLines(frame, ascii(columns))) expect(widthOf(line)).toBeLessThanOrEqual(columns)
  }
  for (const rows of [8, 10, 12, 24]) expect(progressLines(frame, ascii(80, rows)).length).toBeLessThan(rows)
  expect(progressLines(frame, ascii(80, 9)).join('\n')).toContain('+ 4 phases  4.0s')
})

test('where nothing can be redrawn, each change is told once', () => {
  const queued = queuedLaunch(1)
  const first = changeLines(null, queued, now(0.5))
  expect(first).toEqual(['   0.5s  queued (0%)', '   0.5s  place 1 in the queue'])
  expect(changeLines(queued, queued, now(1))).toEqual([])
  const under = launch()
  expect(changeLines(queued, under, now(4))).toEqual([
    '   4.0s  attempt 1 at local here, $2.4900/h',
    '   4.0s  requesting',
    '   4.0s  weights load (40%, about 12s left)',
  ])
  expect(changeLines(under, launch({ percent: 60 }), now(5))).toEqual([])
  expect(changeLines(under, liveLaunch(), now(10))).toEqual(['    10s  ready', '    10s  live'])
  expect(changeLines(under, failedLaunch(), now(12))).toEqual([
    '    12s  attempt 1 failed: The weights file is damaged.',
    '    12s  failed',
  ])
})

const booting = () =>
  launch({
    phase: 'booting',
    phases: [phase('queued', 0, 1), phase('requesting', 1, 6), phase('booting', 6, null)],
    steps: [
      step('requesting', 'Optimizing', 1, 2),
      step('requesting', 'Launching (pending: Resources)', 2, 6),
      step('booting', 'Preparing SkyPilot runtime (2/3 - dependencies)', 6, null),
    ],
  })

test('what a cloud works on stands below the phase that it belongs to, each with its time', () => {
  expect(progressLines({ launch: booting(), now: now(8.5), ...quiet }, ascii(72)).slice(1, -1)).toEqual([
    '  + queued             1.0s',
    '  + requesting         5.0s',
    '         1.0s  Optimizing',
    '         4.0s  Launching (pending: Resources)',
    '  > booting            2.5s',
    '         2.5s  Preparing SkyPilot runtime (2/3 - dependencies)',
    '  . joined',
  ])
})

test('a screen without room for every step shows the latest ones', () => {
  const lines = progressLines({ launch: booting(), now: now(8.5), ...quiet }, { ...ascii(72), rows: 10 })
  expect(lines.length).toBeLessThanOrEqual(10)
  expect(lines.join('\n')).toContain('dependencies')
  expect(lines.join('\n')).not.toContain('Optimizing')
})

test('a transcript has a line for every step, as it happens', () => {
  const before = { ...booting(), steps: booting().steps.slice(0, 2) }
  expect(changeLines(before, booting(), now(6))).toEqual(['   6.0s    Preparing SkyPilot runtime (2/3 - dependencies)'])
})
