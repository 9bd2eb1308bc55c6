import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'

let clone: string

// A clone in miniature: the real run.mjs, an npm that only writes down that it was called, and tasks of a few lines.
beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'fd-run-'))
  cpSync(join(import.meta.dirname, '../../bin'), join(clone, 'bin'), { recursive: true })
  put('package.json', '{"type":"module"}')
  put('package-lock.json', lockWith('1.0.0'))
  put('tools/npm', '#!/bin/sh\nread -r go < gate\nmkdir -p node_modules\necho "$@" >> npm-calls\n', 0o755)
  put('gate', 'go\n')
  put('src/main/docs.ts', 'const words: string[] = process.argv.slice(2)\nconsole.log(`docs:${words.join()}`)')
})

afterEach(() => rmSync(clone, { recursive: true, force: true }))

function put(file: string, content: string, mode = 0o644): void {
  mkdirSync(dirname(join(clone, file)), { recursive: true })
  writeFileSync(join(clone, file), content)
  chmodSync(join(clone, file), mode)
}

function lockWith(version: string): string {
  return JSON.stringify({
    packages: {
      '': {},
      'node_modules/a': { version, integrity: 'x' },
      'node_modules/b-mac': { version, optional: true },
    },
  })
}

function run(...args: string[]): ChildProcess {
  const { npm_execpath: _, ...env } = process.env
  const path = `${join(clone, 'tools')}${delimiter}${env.PATH}`
  return spawn(process.execPath, [join(clone, 'bin/run.mjs'), ...args], {
    cwd: clone,
    env: { ...env, PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function end(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  const outputs = Promise.all([child.stdout ? text(child.stdout) : '', child.stderr ? text(child.stderr) : ''])
  const [code] = (await once(child, 'exit')) as [number | null]
  const [out, err] = await outputs
  return { code, out, err }
}

const npmCalls = (): string[] =>
  existsSync(join(clone, 'npm-calls')) ? readFileSync(join(clone, 'npm-calls'), 'utf8').trim().split('\n') : []

test('the first start installs and says so; the next one only runs', async () => {
  const first = await end(run('docs', 'a', 'b'))
  expect(first).toMatchObject({ code: 0, out: 'docs:a,b\n' })
  expect(first.err).toMatch(/^Installing .*\nInstalled in \d+\.\d s\.\n$/)
  expect(npmCalls()).toEqual([expect.stringMatching(/^ci .*--include=dev/)])
  expect(await end(run('docs'))).toEqual({ code: 0, out: 'docs:\n', err: '' })
  expect(npmCalls()).toHaveLength(1)
})

test('a changed lock file installs again, unless npm itself has just installed that', async () => {
  await end(run('docs'))
  put('package-lock.json', lockWith('2.0.0'))
  await end(run('docs'))
  expect(npmCalls()).toHaveLength(2)
  put('package-lock.json', lockWith('3.0.0'))
  put(
    'node_modules/.package-lock.json',
    JSON.stringify({ packages: { 'node_modules/a': { version: '3.0.0', integrity: 'x' } } }),
  )
  expect((await end(run('docs'))).err).toBe('')
  expect(npmCalls()).toHaveLength(2)
})

test('two starts at once install once, and the second says whom it waits for', async () => {
  rmSync(join(clone, 'gate'))
  // Opening a pipe for reading waits for its writer, so the first npm stands still until it is let go.
  await once(spawn('mkfifo', [join(clone, 'gate')]), 'exit')
  const first = run('docs', '1')
  await once(first.stderr ?? first, 'data')
  const second = run('docs', '2')
  const [said] = await once(second.stderr ?? second, 'data')
  expect(String(said)).toBe(`Waiting for another install (process ${first.pid}) ...\n`)
  const ends = Promise.all([end(first), end(second)])
  writeFileSync(join(clone, 'gate'), 'go\n')
  expect((await ends).map(({ code, out }) => [code, out])).toEqual([
    [0, 'docs:1\n'],
    [0, 'docs:2\n'],
  ])
  expect(npmCalls()).toHaveLength(1)
})

test('an install that was killed does not block the next one', async () => {
  const gone = spawn(process.execPath, ['-e', ''])
  await once(gone, 'exit')
  put('dist/.install.lock', String(gone.pid))
  expect(await end(run('docs'))).toMatchObject({ code: 0, out: 'docs:\n' })
})

test('a failing npm is shown as it spoke, with a way on', async () => {
  put('tools/npm', '#!/bin/sh\necho "npm error network" >&2\nexit 9\n', 0o755)
  const { code, err } = await end(run('docs'))
  expect(code).toBe(1)
  expect(err).toMatch(/npm error network\n.*Run it by hand/s)
})

test('the exit code of a task is the exit code of its script, also after a signal that was handed on', async () => {
  put(
    'src/main/docs.ts',
    "process.on('SIGTERM', () => process.exit(7))\nconsole.log('up')\nsetInterval(() => {}, 1000)",
  )
  for (const [signal, code] of [
    ['SIGTERM', 7],
    ['SIGINT', 130],
  ] as const) {
    const child = run('docs')
    await once(child.stdout ?? child, 'data')
    child.kill(signal)
    expect((await end(child)).code).toBe(code)
  }
})

test('SIGTERM to npm itself reaches the task, and npm ends after it and with its exit code', async () => {
  const { scripts } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))
  put('package.json', JSON.stringify({ type: 'module', scripts }))
  await end(run('docs'))
  put(
    'src/main/docs.ts',
    "process.on('SIGTERM', () => process.exit(7))\nconsole.log(process.pid)\nsetInterval(() => {}, 1000)",
  )
  const npm = spawn('npm', ['run', '--silent', 'docs'], { cwd: clone, stdio: ['ignore', 'pipe', 'pipe'] })
  const [said] = await once(npm.stdout, 'data')
  npm.kill('SIGTERM')
  expect((await end(npm)).code).toBe(7)
  // The shell that npm starts would have died alone, and left the task to nobody.
  expect(() => process.kill(Number(said), 0)).toThrow('ESRCH')
})

test('an unknown task names the ones there are', async () => {
  expect(await end(run('tset'))).toMatchObject({ code: 1, err: expect.stringMatching(/"tset".*test:real/) })
})

test('the command works through a link and stays in the folder of its user', async () => {
  put('src/main/cli.ts', 'console.log(process.cwd(), ...process.argv.slice(2))')
  await end(run('docs'))
  symlinkSync(join(clone, 'bin/flightdeck'), join(clone, 'fd'))
  const child = spawn(join(clone, 'fd'), ['nodes', '--json'], { cwd: tmpdir(), stdio: ['ignore', 'pipe', 'pipe'] })
  expect(await end(child)).toEqual({ code: 0, out: `${tmpdir()} nodes --json\n`, err: '' })
})
