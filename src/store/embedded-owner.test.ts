import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startOf, takeOwnership } from './embedded-owner.ts'

let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fd-owner-'))
  file = join(folder, 'owner')
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Writes the record of an owner that is like this process, but for one line. */
function record(line: 'started' | 'space', value: string): void {
  const ownership = takeOwnership(file)
  const lines = readFileSync(file, 'utf8').split('\n')
  ownership.release()
  lines[['pid', 'started', 'space'].indexOf(line)] = value
  writeFileSync(file, lines.join('\n'))
}

test('what is owned is refused, to this very process too, and free again after release', () => {
  const first = takeOwnership(file)
  expect(() => takeOwnership(file)).toThrow(expect.objectContaining({ code: 'owned' }))
  first.release()
  takeOwnership(file).release()
  expect(readdirSync(folder)).toEqual([])
})

test('an owner that was killed is taken over', async () => {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] })
  const pid = child.pid ?? 0
  takeOwnership(file)
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^.*\n.*\n/, `${pid}\n${startOf(pid)}\n`))
  expect(() => takeOwnership(file)).toThrow(expect.objectContaining({ code: 'owned' }))
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(takeOwnership(file).takenFromElsewhere).toBe(false)
})

test('a pid that now belongs to another process does not keep a dead owner alive', () => {
  record('started', 'some other boot 1')
  expect(takeOwnership(file).takenFromElsewhere).toBe(false)
})

test('an owner from another container is taken over, and that is said', () => {
  record('space', 'pid:[1]')
  expect(takeOwnership(file).takenFromElsewhere).toBe(true)
})

test('a record cut short by a full disk does not lock everybody out', () => {
  writeFileSync(file, '')
  takeOwnership(file).release()
  writeFileSync(file, '1234')
  takeOwnership(file).release()
})

test('releasing never removes the claim of a later owner', () => {
  const first = takeOwnership(file)
  writeFileSync(file, 'somebody else')
  first.release()
  expect(readFileSync(file, 'utf8')).toBe('somebody else')
})
