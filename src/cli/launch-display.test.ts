import { expect, test } from 'vitest'
import { jsonDisplay, linesDisplay, screenDisplay } from './launch-display.ts'
import { progressLines } from './launch-progress.ts'
import type { Terminal } from './terminal.ts'
import { ascii, launch, liveLaunch, now, queuedLaunch } from './test-views.ts'

function recorder(): Terminal & { outs: string[]; errs: string[] } {
  const outs: string[] = []
  const errs: string[] = []
  return {
    outs,
    errs,
    interactive: true,
    look: () => ascii(60, 20),
    out: (text) => void outs.push(text),
    err: (text) => void errs.push(text),
  }
}

const quiet = { lastLine: null, trouble: null }

test('a picture is drawn over the one before it, and the last one stays', () => {
  const terminal = recorder()
  const display = screenDisplay(terminal, () => now(5))
  display.show({ launch: queuedLaunch(1), ...quiet })
  display.show({ launch: launch(), ...quiet })
  display.close()
  const first = progressLines({ launch: queuedLaunch(1), now: now(5), ...quiet }, ascii(60, 20))
  const second = progressLines({ launch: launch(), now: now(5), ...quiet }, ascii(60, 20))
  const text = (lines: string[]) => lines.map((line) => `${line}\n`).join('')
  expect(terminal.outs).toEqual([
    text(first),
    `\u001b[${first.length}A\u001b[0J${text(second)}`,
    `\u001b[${second.length}A\u001b[0J${text(second)}`,
  ])
})

test('a pipe gets neither escape codes nor the same line twice, and a lost connection is told once', () => {
  const terminal = recorder()
  const display = linesDisplay(terminal, () => now(5))
  for (const trouble of [null, 'lost', 'lost', null]) display.show({ launch: launch(), lastLine: null, trouble })
  expect(terminal.outs.join('')).not.toContain('\u001b')
  expect(new Set(terminal.outs).size).toBe(terminal.outs.length)
  expect(terminal.errs).toEqual(['lost\n'])
})

test('as JSON, only what changed is told, one document for each line', () => {
  const terminal = recorder()
  const display = jsonDisplay(terminal)
  for (const view of [queuedLaunch(1), queuedLaunch(1), launch(), launch({ costMicroUsd: 7_000 }), liveLaunch()])
    display.show({ launch: view, ...quiet })
  expect(terminal.outs.map((line) => JSON.parse(line).state)).toEqual(['queued', 'attempting', 'live'])
})
