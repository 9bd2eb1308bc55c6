import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { habitRules } from './tidy/habits.ts'
import { importRules } from './tidy/imports.ts'
import { leakRules, thisMachine } from './tidy/leaks.ts'
import { lengthRules, type Ratchet, shapeRules } from './tidy/shape.ts'
import { format, type Rule } from './tidy/source.ts'
import { readTree, root } from './tidy/tree.ts'
import { waitingRules } from './tidy/waiting.ts'

const ratchet: Ratchet = JSON.parse(readFileSync(join(root, 'test', 'tidy.ratchet.json'), 'utf8'))
const groups: Record<string, Rule>[] = [
  importRules,
  lengthRules(ratchet),
  shapeRules,
  habitRules,
  waitingRules,
  leakRules(thisMachine),
]
const tree = readTree()

for (const { title, check } of groups.flatMap((group) => Object.values(group))) {
  test(title, () => expect(check(tree).map(format)).toEqual([]))
}

test('the rules are asked about the whole house', () => {
  const paths = new Set(tree.map(({ path }) => path))
  for (const path of ['src/main/build.ts', 'bin/run.mjs', 'test/tidy/source.ts', 'package.json'])
    expect(paths).toContain(path)
})
