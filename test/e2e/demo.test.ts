import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { demoRuns } from './demo-run.ts'
import { processesAbout } from './plane.ts'

const demo = join(import.meta.dirname, '../../src/main/demo.ts')

test('a demo whose terminal is closed on the way ends all that it has started, however often it is told', async () => {
  const args = ['--disable-warning=ExperimentalWarning', demo]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  let folder = ''
  for await (const line of createInterface({ input: child.stdout })) {
    folder ||= /\S*flightdeck-demo-\w+/.exec(line)?.[0] ?? ''
    if (line.includes('engine start')) break
  }
  expect(processesAbout(folder).length).toBeGreaterThan(3)
  child.stdout.destroy()
  child.stderr.destroy()
  for (const signal of ['SIGHUP', 'SIGHUP', 'SIGTERM'] as const) child.kill(signal)
  expect(await ended).toEqual([130, null])
  expect(processesAbout(folder)).toEqual([])
  expect(existsSync(folder)).toBe(false)
}, 60_000)

test('the demo launches, answers plain and streamed, tells what it cost, ends well, and leaves nothing running', async () => {
  const phases = ['queued', 'requesting', 'joined', 'engine start', 'weights load', 'warmup']
  expect(await demoRuns([], phases)).toContain('The engine is SIMULATED')
}, 180_000)
