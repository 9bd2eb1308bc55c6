import { expect, test } from 'vitest'
import { lengthRules, shapeRules } from './shape.ts'
import { at, found } from './virtual.ts'

const { names, barrels, defaults, openings } = shapeRules
const none = lengthRules({ files: {}, functions: {} })
const lines = (count: number): string => Array.from({ length: count }, (_, i) => `use(${i})`).join('\n')
const long = (lineCount: number, head: string, foot = '}'): string => `${head}\n${lines(lineCount - 2)}\n${foot}`

test('a file is found at 401 lines and not at 400', () => {
  expect(found(none.files, { 'src/core/a.ts': `${lines(400)}\n` })).toEqual([])
  expect(found(none.files, { 'src/core/a.ts': lines(401), 'docs/long.md': lines(900) })).toEqual([
    'src/core/a.ts:1 a file of 401 lines; 400 is the limit',
  ])
})

test('a style sheet of the dashboard has the same limit', () => {
  const rules = (count: number): string => '.a {}\n'.repeat(count)
  expect(found(none.files, { 'web/look/a.css': rules(400), 'docs/a.css': rules(900) })).toEqual([])
  expect(found(none.files, { 'web/look/a.css': rules(401), 'web/a.module.css': rules(401) })).toHaveLength(2)
})

test('a function is found at 61 lines and not at 60, however it is written', () => {
  const heads: [string, string?][] = [
    ['function f() {'],
    ['const f = () => {'],
    ['export const f = async function () {'],
    ['const o = { f() {', '} }'],
    ['class C { f() {', '} }'],
    ["test('x y', () => {", '})'],
  ]
  for (const [head, foot] of heads) {
    expect(found(none.functions, { 'src/core/a.ts': long(60, head, foot) })).toEqual([])
    expect(found(none.functions, { 'src/core/a.ts': long(61, head, foot) })).toEqual([
      'src/core/a.ts:1 a function of 61 lines; 60 is the limit',
    ])
  }
  expect(found(none.functions, { 'src/core/a.test.ts': long(90, "describe('x', () => {", '})') })).toEqual([])
  expect(found(none.functions, { 'src/core/a.test.ts': long(90, "describe.each(['x'])('%s', () => {", '})') })).toEqual(
    [],
  )
})

test('what is in the ratchet may not grow, and must be lowered when it shrank', () => {
  const { functions, files } = lengthRules({ files: { 'src/a/a.ts': 500 }, functions: { 'src/a/a.ts#f': 80 } })
  const file = (functionLines: number, rest: number): Record<string, string> => ({
    'src/a/a.ts': `${long(functionLines, 'function f() {')}\n${lines(rest)}`,
  })
  expect(found(functions, file(80, 1))).toEqual([])
  expect(found(functions, file(81, 1))).toEqual([
    'src/a/a.ts:1 a function grew from 80 to 81 lines; it may only shrink',
  ])
  expect(found(functions, file(70, 1))).toEqual(['test/tidy.ratchet.json:1 lower src/a/a.ts#f to 70: it has shrunk'])
  expect(found(functions, file(60, 1))).toEqual(['test/tidy.ratchet.json:1 remove src/a/a.ts#f: it has shrunk'])
  expect(found(functions, { 'src/a/a.ts': lines(9) })).toEqual([
    'test/tidy.ratchet.json:1 remove src/a/a.ts#f: it is gone',
  ])
  expect(found(files, { 'src/a/a.ts': lines(500) })).toEqual([])
  expect(found(files, { 'src/a/a.ts': lines(501) })).toEqual([
    'src/a/a.ts:1 a file grew from 500 to 501 lines; it may only shrink',
  ])
})

test('a second long function of the same name does not hide behind the first', () => {
  const { functions } = lengthRules({ files: {}, functions: { 'src/a/a.ts#f': 80 } })
  const twice = `${long(80, 'const a = { f() {', '} }')}\n${long(81, 'const b = { f() {', '} }')}`
  expect(found(functions, { 'src/a/a.ts': twice })).toContain(
    'src/a/a.ts:81 a function grew from 80 to 81 lines; it may only shrink',
  )
})

test('drawers are found as files, as folders and as endings; words that only hold one are not', () => {
  const drawers = [
    'src/core/utils.ts',
    'src/helpers/a.ts',
    'src/core/types.test.ts',
    'src/core/test-helpers.ts',
    'web/src/common/a.tsx',
    'src/core/models.ts',
  ]
  expect(found(names, at(drawers, ''))).toHaveLength(drawers.length)
  expect(
    found(names, at(['src/core/model.ts', 'src/core/typescript.ts', 'src/core/utilisation.ts', 'docs/types.md'], '')),
  ).toEqual([])
})

test('a barrel is found, by its star or because it holds nothing else', () => {
  expect(found(barrels, { 'src/core/a.ts': "export const x = 1\nexport * from './b.ts'" })).toHaveLength(1)
  expect(
    found(barrels, { 'src/core/a.ts': "export { x } from './b.ts'\nexport type { Y } from './c.ts'" }),
  ).toHaveLength(1)
  expect(found(barrels, { 'src/core/a.ts': "export { x } from './b.ts'\nexport const y = 1" })).toEqual([])
})

test('a default export is found under any name, except in a configuration file', () => {
  expect(found(defaults, at(['src/core/a.ts', 'web/vite.config.ts'], 'export default 1'))).toHaveLength(1)
  expect(found(defaults, { 'src/core/a.ts': 'const x = 1\nexport { x as default }' })).toHaveLength(1)
})

test('a folder whose first file does not open with two lines of its own is found', () => {
  const opening = '// Facts as they are. No opinion lives here.\n// Deliberately absent: the clock.\n'
  expect(found(openings, { 'src/core/b.ts': opening, 'src/core/c.ts': '', 'src/core/a.test.ts': '' })).toEqual([])
  for (const text of [
    '',
    'import x\n',
    '// One line.\nconst x = 1',
    `${opening}// And a third.`,
    '/** A docstring.\n * Two lines. */',
  ]) {
    expect(found(openings, { 'src/core/a.ts': text, 'src/core/b.ts': opening })).toHaveLength(1)
  }
})
