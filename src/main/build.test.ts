import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildAgent } from './build.ts'

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fd-build-'))
  put('package.json', '{"version":"9.9.9"}')
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

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
  expect(JSON.parse(readFileSync(join(root, 'dist/agent/index.json'), 'utf8'))).toEqual(result?.index)
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

test('an npm package in the agent fails the build', async () => {
  put('node_modules/left/package.json', '{"name":"left","main":"i.js"}')
  put('node_modules/left/i.js', 'module.exports = 1')
  put('src/main/agent.ts', "import left from 'left'\nconsole.log(left)")
  await expect(buildAgent(root)).rejects.toThrow(/left/)
})
