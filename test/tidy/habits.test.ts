import { expect, test } from 'vitest'
import { habitRules } from './habits.ts'
import { at, found } from './virtual.ts'

const { any, catches, core, notes, programs, shells, sql } = habitRules

test('any is found as a type, not as a word', () => {
  expect(found(any, { 'src/core/a.ts': 'let a: any\nconst b = c as any\nlet d: Promise<any[]>' })).toHaveLength(3)
  expect(found(any, { 'src/core/a.ts': "// any\nconst any = 'any'" })).toEqual([])
})

test('an empty catch is found, also with an excuse in it and also as a method', () => {
  expect(
    found(catches, {
      'src/a/a.ts': 'try { f() } catch {}\ntry { f() } catch (e) { /* never */ }\nf().catch(() => {})',
    }),
  ).toHaveLength(3)
  expect(
    found(catches, { 'src/a/a.ts': 'try { f() } catch { g() }\nf().catch(() => undefined)\nf().then(() => {})' }),
  ).toEqual([])
})

test('clock, chance, process and waiting are found in core', () => {
  const impure = [
    'const a = Date.now()',
    'const a = new Date(0)',
    'const a = Math.random()',
    'const a = process.env.A',
    'const f = async () => 1',
    'await g()',
    'for await (const x of y) g(x)',
    'setTimeout(g, 1)',
    'const a = performance.now()',
    'let a: Promise<void>',
    'let a: Date',
    'const { now } = Date',
    'const a = { Date }',
  ]
  for (const text of impure) expect(found(core, { 'src/core/a.ts': text }), text).not.toEqual([])
})

test('a field or an argument that is only called like one of them is not found', () => {
  const pure = [
    'const a = { process: 1 }.process',
    'interface A { process: string; Date: number }',
    'const f = (process: string) => process',
    'const a = Math.round(1)',
    "// Date and process\nconst a = 'Date.now()'",
  ]
  for (const text of pure) expect(found(core, { 'src/core/a.ts': text }), text).toEqual([])
  expect(found(core, at(['src/core/a.test.ts', 'src/lib/a.ts'], 'const a = Date.now()'))).toEqual([])
})

test('a note to do something later is found in any file', () => {
  const word = ['TO', 'DO'].join('')
  expect(found(notes, at(['src/core/a.ts', 'docs/a.md', 'bin/a'], `x\n// ${word}: later`))).toHaveLength(3)
  expect(found(notes, at(['test/fixtures/a.txt', 'package-lock.json'], word))).toEqual([])
  expect(found(notes, { 'src/core/a.ts': "const todo = 'todo'" })).toEqual([])
})

test('a statement of SQL is found outside of store; a sentence that begins like one is not', () => {
  const statements = [
    "'select a, b from nodes where id = $1'",
    '`\n  INSERT INTO nodes values (1)`',
    "`update nodes set a = ${'1'}`",
    "'delete from nodes'",
    "'create table nodes (id int)'",
    "'with old as (select 1) select'",
    "'drop table nodes'",
  ]
  for (const text of statements) {
    expect(found(sql, { 'src/api/a.ts': `query(${text})` }), text).toHaveLength(1)
    expect(found(sql, at(['src/store/a.ts', 'src/api/a.test.ts'], `query(${text})`)), text).toEqual([])
  }
  const sentences = [
    "'Select a machine from the list'",
    "'update the node'",
    "'delete'",
    "'with care as ever'",
    "'selected from'",
    "'create a table'",
  ]
  for (const text of sentences) expect(found(sql, { 'src/api/a.ts': `say(${text})` }), text).toEqual([])
})

test('a program that a bare machine has not got is found where it is started by name, but not in test/real', () => {
  const started =
    "execFile('curl', [])\nspawnSync('/usr/bin/git')\nspawn('sh', ['-c', 'true'])\nspawn(process.execPath)"
  for (const path of ['src/a/a.test.ts', 'src/a/world-for-tests.ts', 'test/e2e/a.test.ts', 'test/a.ts'])
    expect(found(programs, { [path]: started })).toHaveLength(2)
  for (const path of ['src/a/a.ts', 'test/real/a.test.ts']) expect(found(programs, { [path]: started })).toEqual([])
})

test('a shell is found in what users run, however it is asked for; a script file of our own and tests may have one', () => {
  const started = [
    "import { exec } from 'node:child_process'",
    'spawn(program, words, { shell: true })',
    "spawn('/bin/sh', ['-c', text])",
    "execFileSync('bash', ['-c', text])",
  ]
  for (const text of started) {
    expect(found(shells, at(['src/a/a.ts', 'bin/a.mjs'], text)), text).toHaveLength(2)
    expect(found(shells, at(['src/a/a.test.ts', 'src/a/world-for-tests.ts', 'test/real/a.ts'], text))).toEqual([])
  }
  expect(
    found(shells, { 'src/a/a.ts': "/a/.exec(b)\nspawn('/bin/sh', [loopFile])\nexecFile('nvidia-smi', words)" }),
  ).toEqual([])
})
