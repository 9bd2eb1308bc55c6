import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildWeb } from './build-web.ts'

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fd-web-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function put(file: string, text: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true })
  writeFileSync(join(root, file), text)
}

/** A page of one script. */
function putPage(script: string): void {
  put('web/index.html', '<!doctype html><script type="module" src="/main.ts"></script>')
  put('web/main.ts', script)
  const outDir = JSON.stringify(join(root, 'unused'))
  put(
    'web/vite.config.ts',
    `export default { root: ${JSON.stringify(join(root, 'web'))}, build: { outDir: ${outDir} } }`,
  )
}

const scripts = () => readdirSync(join(root, 'dist/web/assets')).filter((file) => file.endsWith('.js'))
const named = () => /assets\/([^"]+\.js)/.exec(readFileSync(join(root, 'dist/web/index.html'), 'utf8'))?.[1]

test('a tree without a dashboard builds none and does not fail', async () => {
  expect(await buildWeb(root)).toBeUndefined()
})

test('it is built when a source changed or a file of it is gone, and not otherwise', async () => {
  putPage('document.title = "one"')
  expect(await buildWeb(root)).toBe(true)
  expect(await buildWeb(root)).toBe(false)
  put('web/main.test.ts', 'changes nothing')
  expect(await buildWeb(root)).toBe(false)
  put('web/main.ts', 'document.title = "two"')
  expect(await buildWeb(root)).toBe(true)
  rmSync(join(root, 'dist/web/index.html'))
  expect(await buildWeb(root)).toBe(true)
  expect(await buildWeb(root)).toBe(false)
})

test('a page that is open while a new one is built still finds its parts; the one before it does not', async () => {
  const built: (string | undefined)[] = []
  for (const title of ['one', 'two', 'three']) {
    putPage(`document.title = "${title}"`)
    await buildWeb(root)
    built.push(named())
  }
  expect(new Set(built).size).toBe(3)
  expect(scripts().sort()).toEqual([built[1], built[2]].sort())
  expect(readdirSync(join(root, 'dist')).sort()).toEqual(['web', 'web.json'])
})
