import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { barePath } from '../bare-path.ts'

const up = join(import.meta.dirname, '../../rig/vllm-cpu/up')
const script = (...lines: string[]) => ['#!/bin/sh', ...lines, ''].join('\n')

/** Where Python is missing, or comes without environments, until a package brings it. */
const python = script(
  'echo "python3 $*" >>"$CALLS"',
  'case $* in "-m venv"*) exit 42 ;; *ensurepip*) [ -e "$HAS.python3-venv" ] ;; *numa*) [ -e "$HAS.libnuma1" ] ;; esac',
)
const withoutLists = script(
  'echo "apt-get $*" >>"$CALLS"',
  '[ "$1" != update ] || { : >"$LISTS"; exit 0; }',
  '[ -e "$LISTS" ] || exit 100',
  `case $* in *" python3 "*) cp "$PYTHON" "$BIN/python3" ;; esac`,
  'for word; do : >"$HAS.$word"; done',
)

function bareMachine(user: number, has: { [name: string]: string | undefined }) {
  const dir = mkdtempSync(join(tmpdir(), 'fd-rig-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const bin = barePath(dir, ['bash', 'sh', 'awk', 'cat', 'chmod', 'cp', 'dirname', 'env', 'flock', 'mkdir', 'rm'])
  const put = (name: string, text: string) => writeFileSync(join(bin, name), text, { mode: 0o755, flag: 'wx' })
  put('id', script(`echo ${user}`))
  put('df', script('echo header', 'echo "disk 0 0 99999999 0% /"'))
  for (const [name, text] of Object.entries(has)) put(name, text ?? '')
  const at = (name: string) => join(dir, name)
  writeFileSync(at('python'), python, { mode: 0o755 })
  const traces = { CALLS: at('calls'), LISTS: at('lists'), HAS: at('has'), PYTHON: at('python'), BIN: bin }
  const env = { PATH: bin, HOME: dir, ...traces }
  return new Promise<{ said: string; calls: string[] }>((resolve) => {
    execFile('/bin/bash', [up, at('vllm')], { env }, (_, stdout, stderr) => {
      const calls = existsSync(at('calls')) ? readFileSync(at('calls'), 'utf8').trim().split('\n') : []
      resolve({ said: stdout + stderr, calls })
    })
  })
}

test('root on Debian is brought the Python that is missing, also where no list of packages was ever fetched', async () => {
  const { said, calls } = await bareMachine(0, { 'apt-get': withoutLists })
  const install = 'apt-get install -qq -y python3 python3-venv'
  expect(calls.filter((call) => call.startsWith('apt-get'))).toEqual([
    install,
    'apt-get update -qq',
    install,
    'apt-get install -qq -y libnuma1',
  ])
  expect(calls.at(-1)).toMatch(/^python3 -m venv .*\/vllm\/venv$/)
  expect(said).toContain('installing python3 python3-venv')
})

test('a Python without environments is brought the package of that alone', async () => {
  const { calls } = await bareMachine(0, { 'apt-get': withoutLists, python3: python })
  expect(new Set(calls.filter((call) => call.startsWith('apt-get install')))).toEqual(
    new Set(['apt-get install -qq -y python3-venv', 'apt-get install -qq -y libnuma1']),
  )
  expect(calls.at(-1)).toMatch(/^python3 -m venv /)
})

test.each([
  {
    who: 'who is not root',
    user: 1000,
    has: { 'apt-get': withoutLists },
    remedy: /apt-get install python3 python3-venv/,
  },
  { who: 'who has no apt-get', user: 0, has: {}, remedy: /install Python 3\.10 or newer with its venv module/ },
])('$who is told what to install, and nothing is begun', async ({ user, has, remedy }) => {
  const { said, calls } = await bareMachine(user, has)
  expect(said).toMatch(/python3 is missing/)
  expect(said).toMatch(remedy)
  expect(calls).toEqual([])
})
