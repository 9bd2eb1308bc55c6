import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keepProcess } from './kept-process.ts'
import { isDead, parseStat } from './proc-stat.ts'

let dir: string
const kept: { stop(): Promise<void> }[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-kept-'))
})
afterEach(async () => {
  await Promise.all(kept.splice(0).map((one) => one.stop()))
  rmSync(dir, { recursive: true, force: true })
})

const idles = 'setInterval(() => undefined, 1000)'

function keep(purpose = 'work', script = idles) {
  const starts: { pid: number; adopted: boolean }[] = []
  const one = keepProcess({
    command: [process.execPath, '-e', script],
    env: {},
    purpose,
    graceMs: 300,
    recordFile: join(dir, 'process.json'),
    onStart: (pid, adopted) => starts.push({ pid, adopted }),
    onEnd: () => undefined,
  })
  kept.push(one)
  return { one, starts }
}

/** One that has ended and waits for its parent to notice lives no more. */
const alive = (pid: number) => {
  try {
    const stat = parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))
    return stat !== null && !isDead(stat)
  } catch {
    return false
  }
}

test('a process that ends is started again', async () => {
  const { starts } = keep()
  await vi.waitFor(() => expect(starts).toHaveLength(1))
  process.kill(starts[0]?.pid ?? -1, 'SIGKILL')
  await vi.waitFor(() => expect(starts).toHaveLength(2), { timeout: 15_000 })
  expect(starts[1]?.adopted).toBe(false)
})

test('a process that outlived its keeper is adopted, not started a second time', async () => {
  const { starts } = keep()
  await vi.waitFor(() => expect(starts).toHaveLength(1))
  const heir = keep()
  await vi.waitFor(() => expect(heir.starts).toEqual([{ pid: starts[0]?.pid, adopted: true }]))
})

test('one that was told something else is ended before another is started', async () => {
  const { starts } = keep('port 1')
  await vi.waitFor(() => expect(starts).toHaveLength(1))
  const heir = keep('port 2')
  await vi.waitFor(() => expect(heir.starts).toHaveLength(1), { timeout: 15_000 })
  expect(heir.starts[0]?.adopted).toBe(false)
  expect(alive(starts[0]?.pid ?? -1)).toBe(false)
})

test('a record whose pid now belongs to somebody else adopts nobody', async () => {
  writeFileSync(join(dir, 'process.json'), JSON.stringify({ pid: process.pid, startedTicks: '1' }))
  const { starts } = keep()
  await vi.waitFor(() => expect(starts).toHaveLength(1))
  expect(starts[0]?.adopted).toBe(false)
})

test('stopping ends the process and forgets it', async () => {
  const { one, starts } = keep()
  await vi.waitFor(() => expect(starts).toHaveLength(1))
  await one.stop()
  expect(alive(starts[0]?.pid ?? -1)).toBe(false)
  expect(() => readFileSync(join(dir, 'process.json'))).toThrow()
})

test('one that ignores being told to end is killed after its grace, also where another is started in its place', async () => {
  const listening = join(dir, 'listening')
  const deaf = `process.on('SIGTERM', () => undefined); require('node:fs').writeFileSync(${JSON.stringify(listening)}, ''); ${idles}`
  const { starts } = keep('port 1', deaf)
  await vi.waitFor(() => expect(existsSync(listening)).toBe(true), { timeout: 15_000 })
  rmSync(listening)
  const heir = keep('port 2', deaf)
  await vi.waitFor(() => expect(existsSync(listening)).toBe(true), { timeout: 15_000 })
  const pids = [starts[0]?.pid ?? -1, heir.starts[0]?.pid ?? -1]
  expect(pids.map(alive)).toEqual([false, true])
  await heir.one.stop()
  expect(pids.map(alive)).toEqual([false, false])
})
