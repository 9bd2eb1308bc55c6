import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { secretFile } from './secret-file.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-secret-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** A process that makes the secret; `made` runs between the decision that there is none and the first byte on disk. */
function starter(file: string, made: string, before = ''): ChildProcess {
  const program = `${before}
    import { readSync, writeSync } from 'node:fs'
    import { secretFile } from ${JSON.stringify(join(import.meta.dirname, 'secret-file.ts'))}
    process.stdout.write(secretFile(${JSON.stringify(file)}, () => { ${made} }))`
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program]
  return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] })
}

test('a secret is made once, and only its owner can read it', () => {
  const path = join(dir, 'deep/secret.key')
  const first = secretFile(path)
  expect(first).toMatch(/^[0-9a-f]{64}$/)
  expect(secretFile(path)).toBe(first)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readdirSync(join(dir, 'deep'))).toEqual(['secret.key'])
})

test('eight processes that start at once get the same secret, and it is the one on disk', async () => {
  const path = join(dir, 'secret.key')
  // Each says that it found none and waits, so that all of them make one.
  const made = (i: number) => `writeSync(2, 'none'); readSync(0, Buffer.alloc(1)); return 'secret-${i}'`
  const starters = Array.from({ length: 8 }, (_, i) => starter(path, made(i)))
  await Promise.all(starters.map((child) => once(child.stderr ?? child, 'data')))
  const told = starters.map((child) => text(child.stdout as NodeJS.ReadableStream))
  for (const child of starters) child.stdin?.end('x')
  const secrets = new Set(await Promise.all(told))
  expect(secrets.size).toBe(1)
  expect([...secrets][0]).toBe(readFileSync(path, 'utf8'))
  expect(readdirSync(dir)).toEqual(['secret.key'])
})

test.each(['writeSync', 'fsyncSync', 'linkSync'])(
  'killed at its %s, a starter leaves no half secret, and the next one makes it',
  async (step) => {
    const path = join(dir, 'secret.key')
    const fatal = `
    const { default: fs } = await import('node:fs')
    const { syncBuiltinESMExports } = await import('node:module')
    fs.${step} = () => process.kill(process.pid, 'SIGKILL')
    syncBuiltinESMExports()
    `
    const child = starter(path, 'return "never kept"', fatal)
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL'])
    expect(readdirSync(dir)).toEqual([expect.stringMatching(/^\.secret\.key\.draft/)])
    expect(secretFile(path)).toMatch(/^[0-9a-f]{64}$/)
    expect(readdirSync(dir)).toEqual(['secret.key'])
  },
)

test('an empty file is refused rather than taken for a secret', () => {
  const path = join(dir, 'admin.token')
  writeFileSync(path, '\n')
  expect(() => secretFile(path)).toThrow(/admin.token is empty: put its backup back, or delete it/)
})
