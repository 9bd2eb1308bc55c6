import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { importRules } from './imports.ts'
import { at, found } from './virtual.ts'

const { folders, node, packages, manifest, loops, agent, circles, writers, migrations, wholeStore, apiWrites } =
  importRules

test('a folder that reaches where it may not is named with the line, whatever way it imports', () => {
  const ways = [
    "import { x } from '../store/x.ts'",
    "import type { X } from '../store/x.ts'",
    "export { x } from '../store/x.ts'",
    "export * from '../store/x.ts'",
    "const x = await import('../store/x.ts')",
    "type X = import('../store/x.ts').X",
    "import '../store/x.ts'",
  ]
  for (const way of ways) {
    expect(found(folders, { 'src/gateway/a.ts': `// one\n${way}` })).toEqual([
      'src/gateway/a.ts:2 gateway may not import store',
    ])
  }
})

test('every forbidden direction of the table is refused', () => {
  const forbidden: [string, string][] = [
    ['core', 'lib'],
    ['lib', 'wire'],
    ['wire', 'lib'],
    ['wire', 'store'],
    ['store', 'wire'],
    ['store', 'clouds'],
    ['clouds', 'store'],
    ['commands', 'clouds'],
    ['intake', 'clouds'],
    ['commands', 'control'],
    ['control', 'api'],
    ['control', 'commands'],
    ['api', 'clouds'],
    ['api', 'control'],
    ['gateway', 'store'],
    ['agent', 'store'],
    ['cli', 'lib'],
    ['cli', 'store'],
    ['store', 'sim'],
    ['control', 'sim'],
    ['core', 'main'],
    ['api', 'main'],
  ]
  for (const [from, to] of forbidden) {
    expect(found(folders, { [`src/${from}/a.ts`]: `import { b } from '../${to}/b.ts'` })).toHaveLength(1)
  }
  expect(found(folders, { 'web/src/a.tsx': "import { b } from '../../src/lib/b.ts'" })).toHaveLength(1)
  expect(found(folders, { 'src/api/a.ts': "import { b } from '../../test/b.ts'" })).toHaveLength(1)
  expect(found(folders, { 'src/newcomer/a.ts': "import { b } from '../core/b.ts'" })).toEqual([
    'src/newcomer/a.ts:1 src/newcomer is not in the table of folders',
  ])
})

test('what the table allows, and anything from tests, bench and main, passes', () => {
  const allowed = {
    'src/core/a.ts': "import { b } from './b.ts'",
    'src/control/a.ts': "import { b } from '../clouds/skypilot/b.ts'",
    'src/clouds/skypilot/a.ts': "import { b } from '../cloud.ts'",
    'web/src/a.tsx': "import { b } from '../../src/wire/b.ts'\nimport { c } from './c.tsx'",
    ...at(
      ['src/core/a.test.ts', 'test/e2e/a.test.ts', 'bench/a.ts', 'src/main/a.ts'],
      `import { b } from '${'../'.repeat(2)}src/sim/b.ts'`,
    ),
  }
  expect(found(folders, allowed)).toEqual([])
})

test('sim takes only types from clouds', () => {
  expect(found(folders, { 'src/sim/a.ts': "import { type B, c } from '../clouds/b.ts'" })).toEqual([
    'src/sim/a.ts:1 sim may import only types from clouds',
  ])
  expect(
    found(folders, {
      'src/sim/a.ts': "import type { B } from '../clouds/b.ts'\nimport { type C } from '../clouds/c.ts'",
    }),
  ).toEqual([])
})

test('what runs in a browser or in core uses nothing of Node, with or without the prefix', () => {
  const text = "import { join } from 'node:path'\nimport fs from 'fs'"
  expect(found(node, at(['src/core/a.ts', 'src/wire/a.ts', 'web/src/a.ts'], text))).toHaveLength(6)
  expect(found(node, at(['src/lib/a.ts', 'src/core/a.test.ts', 'web/vite.config.ts'], text))).toEqual([])
})

test('a package outside of its home is refused, and so is one without a home', () => {
  expect(found(packages, { 'src/api/a.ts': "import { Client } from 'pg'" })).toEqual([
    'src/api/a.ts:1 the package pg lives in src/store/',
  ])
  expect(found(packages, { 'src/store/a.ts': "import { sql } from 'kysely/raw'\nimport { z } from 'zod'" })).toEqual([
    'src/store/a.ts:2 the package zod lives in src/wire/',
  ])
  expect(found(packages, { 'src/api/a.ts': "import cors from '@fastify/cors'" })).toEqual([])
  expect(found(packages, { 'src/lib/a.ts': "import type { X } from 'lodash'" })).toEqual([
    'src/lib/a.ts:1 the package lodash has no home in the table of packages',
  ])
  expect(
    found(packages, {
      'src/main/other.ts': "import OpenAI from 'openai'",
      'src/api/a.test.ts': "import fc from 'fast-check'",
    }),
  ).toEqual([])
})

test('a version that could change by itself, and a package nobody asked for, are found', () => {
  const loose = JSON.stringify({
    dependencies: { pg: '^8.0.0', kysely: '1.2.3' },
    devDependencies: { t: 'npm:@a/b@7.0.2', u: '*', v: '1.0.0-beta.1' },
  })
  expect(found(manifest, { 'package.json': loose })).toEqual([
    'package.json:1 pg is not pinned: ^8.0.0',
    'package.json:1 u is not pinned: *',
  ])
  const files = {
    'package.json': '{"dependencies":{"pg":"1.0.0"}}',
    'src/store/a.ts': "import 'pg'\nimport 'kysely/migration'",
  }
  expect(found(manifest, files)).toEqual(['src/store/a.ts:2 the package kysely is not in package.json'])
})

test('a loop that imports another loop is found, a shared file is not', () => {
  expect(found(loops, { 'src/control/launch.ts': "import { x } from './node-wait.ts'" })).toEqual([
    'src/control/launch.ts:1 the launch loop may not import the node loop: they meet in rows only',
  ])
  expect(
    found(loops, {
      'src/control/launch.ts': "import { x } from './launch-fulfil.ts'\nimport { y } from './driver.ts'",
    }),
  ).toEqual([])
  expect(
    found(loops, { 'src/control/loops.ts': "import { x } from './launch.ts'\nimport { y } from './node.ts'" }),
  ).toEqual([])
})

test('a package that would slip into the agent behind two files is found; its types are welcome', () => {
  const behind = {
    'src/wire/agent.ts': "import { z } from 'zod'",
    'src/wire/between.ts': "import { schema } from './agent.ts'",
    'src/wire/paths.ts': "import type { X } from './agent.ts'",
  }
  expect(found(agent, { ...behind, 'src/agent/a.ts': "import { b } from '../wire/between.ts'" })).toEqual([
    "src/agent/a.ts:1 brings zod into the agent's bundle; import only types from there",
  ])
  expect(
    found(agent, {
      ...behind,
      'src/agent/a.ts': "import { p } from '../wire/paths.ts'\nimport type { B } from '../wire/between.ts'",
    }),
  ).toEqual([])
})

test('two files that import each other are found, also through a third and for types alone', () => {
  const files = {
    'src/core/a.ts': "import type { B } from './b.ts'",
    'src/core/b.ts': "import { c } from './c.ts'",
    'src/core/c.ts': "import { a } from './a.ts'",
    'src/core/apart.ts': "import { a } from './a.ts'",
  }
  expect(found(circles, files)).toEqual([
    'src/core/a.ts:1 src/core/b.ts imports this file in turn',
    'src/core/b.ts:1 src/core/c.ts imports this file in turn',
    'src/core/c.ts:1 src/core/a.ts imports this file in turn',
  ])
})

test('a second writer of a state, or a writer outside of control, is found', () => {
  const text = "import { saveNodeDecision } from '../store/nodes.ts'"
  expect(found(writers, { 'src/control/launch.ts': text })).toEqual([
    'src/control/launch.ts:1 saveNodeDecision is imported outside of its loop',
  ])
  expect(found(writers, at(['src/api/a.ts', 'src/main/a.ts'], text))).toHaveLength(2)
  expect(found(writers, at(['src/control/node.ts', 'src/control/node-again.ts'], text))).toHaveLength(2)
  expect(found(writers, at(['src/control/node.ts', 'src/store/nodes.test.ts'], text))).toEqual([])
  const renamed = "import { saveSpendDecision as save } from '../store/spend.ts'"
  expect(found(writers, at(['src/control/a.ts', 'src/control/b.ts'], renamed))).toHaveLength(2)
})

test('a writer cannot come in with the whole of store', () => {
  expect(found(wholeStore, { 'src/control/a.ts': "import * as nodes from '../store/nodes.ts'" })).toHaveLength(1)
  expect(
    found(wholeStore, {
      'src/control/a.ts': "import { a } from '../store/nodes.ts'",
      'src/store/a.ts': "import * as b from './b.ts'",
    }),
  ).toEqual([])
})

test('a migration that leans on the code of today is named', () => {
  expect(
    found(migrations, {
      'src/store/migrations/0001_a.ts': "import { sql } from 'kysely'\nimport { states } from '../../core/states.ts'",
      'src/store/migrations/0001_a.test.ts': "import { states } from '../../core/states.ts'",
    }),
  ).toEqual([
    'src/store/migrations/0001_a.ts:2 a migration imports nothing that may change after it has run, so not ../../core/states.ts',
  ])
})

test('the API takes reads from store, and nothing that writes', () => {
  const objections = (text: string) => found(apiWrites, { 'src/api/a.ts': text })
  expect(objections("import { readNodes } from '../store/read-nodes.ts'")).toEqual([])
  expect(objections("import type { Db } from '../store/database.ts'")).toEqual([])
  expect(objections("import { loadOffers } from '../store/offers.ts'")).toEqual([])
  expect(objections("import { armSweep } from '../store/pause.ts'")).toEqual([
    'src/api/a.ts:1 api reads, and never writes state itself: armSweep',
  ])
})

test('every loop of the control plane is known by its name', () => {
  const of = (name: string) => found(loops, { [`src/control/${name}.ts`]: "import { x } from './node.ts'" })
  const named = readdirSync(join(import.meta.dirname, '../../src/control')).flatMap((file) => {
    const text = readFileSync(join(import.meta.dirname, '../../src/control', file), 'utf8')
    return /export function \w+Loop\(/.test(text) ? [file.replace('.ts', '')] : []
  })
  expect(named.length).toBeGreaterThan(7)
  for (const name of named.filter((one) => one !== 'node')) expect(of(name), name).toHaveLength(1)
})
