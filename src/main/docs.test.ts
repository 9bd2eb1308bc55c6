import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'vitest'
import { engineNames, enginePresets } from '../core/engine-presets.ts'
import { smiSigns, xids } from '../core/gpu-fault.ts'
import { launchStates, launchTable } from '../core/launch-table.ts'
import { nodeStates, nodeTable } from '../core/node-table.ts'
import { verdictTable } from '../core/verdict-table.ts'
import { projectRoot } from './config.ts'
import { generatedPages } from './docs.ts'

const textOf = (path: string): string => generatedPages[path]?.() ?? ''

test.each(Object.keys(generatedPages))('%s is what the code says; `npm run docs` writes it anew', (path) => {
  assert.equal(readFileSync(join(projectRoot, path), 'utf8'), textOf(path))
})

test('every state, every arrow and every row of the verdicts is on the page', () => {
  const page = textOf('docs/machines.md')
  for (const table of [nodeTable, launchTable])
    for (const [state, { on }] of Object.entries(table))
      for (const [fact, next] of Object.entries(on)) assert.ok(page.includes(`    ${state} --> ${next}: ${fact}\n`))
  for (const state of [...nodeStates, ...launchStates]) assert.ok(page.includes(`| \`${state}\` |`), state)
  for (const { row, meaning } of verdictTable) assert.ok(page.includes(`| \`${row}\` |`) && page.includes(meaning), row)
})

test('every allowed argument of every engine is on the page', () => {
  const page = textOf('docs/engines.md')
  for (const engine of engineNames) {
    const section = page.split(`\n## ${engine}\n`)[1]?.split('\n## ')[0] ?? ''
    for (const argument of Object.keys(enginePresets[engine].arguments))
      assert.ok(section.includes(`| \`${argument}\` |`), `${engine} ${argument}`)
  }
})

const pages = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'],
  ...readdirSync(join(projectRoot, 'docs'), { recursive: true, encoding: 'utf8' }).flatMap((file) =>
    file.endsWith('.md') ? [join('docs', file)] : [],
  ),
]

test.each(pages)('every file of this project that %s names is there', (page) => {
  const text = readFileSync(join(projectRoot, page), 'utf8')
  const named = text.matchAll(/`((?:src|test|bench|rig|bin|docs|catalog|monitoring)\/[\w./-]*[\w/])`/g)
  const missing = [...named].flatMap(([, path = '']) => (existsSync(join(projectRoot, path)) ? [] : [path]))
  assert.deepEqual(missing, [])
})

test('every XID and every sign of a faulty GPU is on the page, with what is done', () => {
  const page = textOf('docs/gpu-faults.md')
  for (const [xid, { means }] of Object.entries(xids)) assert.ok(page.includes(`| ${xid} | ${means} |`), xid)
  for (const [sign, means] of Object.entries(smiSigns)) assert.ok(page.includes(`| \`${sign}\` | ${means} |`), sign)
})
