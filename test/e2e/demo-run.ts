import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { expect } from 'vitest'
import { machineProcesses } from '../../src/clouds/local/processes.ts'
import { projectRoot } from '../../src/main/config.ts'
import { processesAbout } from './plane.ts'

/** Runs the demo as people do, to its end, and holds what is true of it with any engine. Returns what it printed. */
export async function demoRuns(words: readonly string[], phases: readonly string[]): Promise<string> {
  const child = spawn('npm', ['run', 'demo', ...words], { cwd: projectRoot, stdio: ['ignore', 'pipe', 'pipe'] })
  const printed = Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = await once(child, 'exit')
  const [out, err] = await printed
  expect([code, err]).toEqual([0, expect.not.stringContaining('rror')])

  const [folder = ''] = /\/\S*flightdeck-demo-\w+/.exec(out) ?? []
  const [, install] = /install (\w+), up in/.exec(out) ?? []
  const told = [...phases, 'verifying', 'live'].map((phase) => new RegExp(`^ +\\d.*s {2}${phase}`, 'm').test(out))
  expect(told).not.toContain(false)
  expect(out).toMatch(/plain:\n {2}".+"\n {2}\d+ tokens read, \d+ written, .* in all\n/s)
  expect(out).toMatch(/streamed:\n {2}".+"\n {2}\d+ tokens read, \d+ written, first token after .* in all\n/s)
  expect(out).toMatch(/5\. What it cost\n.*\n( +\w.* +\$\d.*\n)+ {2}\$0\.\d+ in all; \d+ tokens make that/)
  expect(out).toMatch(/nothing is left running\n$/)

  expect(processesAbout(folder)).toEqual([])
  expect(await machineProcesses(`fd-${install}-`)).toEqual([])
  expect(existsSync(folder)).toBe(false)
  return out
}
