import { importsOf } from './imports.ts'
import { inCode, isNode, isTest, nameOf, parse, type Rule, type Source, textOf, type Visit } from './source.ts'

const longestPauseMs = 100
const sleepers = /^(\w+\.)*(sleep|pause|delay|wait|waitMs|setTimeout)$/
const testNames = new Set(['test', 'it', 'describe'])

function argumentsOf({ node }: Visit): unknown[] {
  return node.type === 'CallExpression' && Array.isArray(node.arguments) ? node.arguments : []
}

/** `test`, `test.each(...)`, `it.runIf(...)`, `describe.concurrent`: what stands in front of the title. */
function rootName(callee: unknown): string | undefined {
  if (!isNode(callee)) return undefined
  if (callee.type === 'CallExpression' || callee.type === 'TaggedTemplateExpression')
    return rootName(callee.callee ?? callee.tag)
  return nameOf(callee)?.split('.')[0]
}

const takesTable = (callee: unknown): boolean =>
  isNode(callee) && /\.(each|for|runIf|skipIf|extend|concurrent\.each)$/.test(nameOf(callee) ?? '')

function titleObjection(visit: Visit): string | undefined {
  const { node } = visit
  if (node.type !== 'CallExpression' || !testNames.has(rootName(node.callee) ?? '') || takesTable(node.callee))
    return undefined
  const first = argumentsOf(visit)[0]
  const title = textOf(first)
  // A title that is computed cannot be judged here.
  if (first !== undefined && title === undefined) return undefined
  if (!title?.trim()) return 'a test without a title: say what it guarantees'
  return /[\s%$]/.test(title.trim()) || rootName(node.callee) === 'describe'
    ? undefined
    : `"${title}" is a word, not a guarantee`
}

/** Numbers that have a name in this file: `const waitMs = 500`. */
function namedNumbers(file: Source): Map<string, number> {
  const pairs = parse(file).visits.flatMap(({ node }) => {
    const [name, value] = [nameOf(node.id), isNode(node.init) ? node.init.value : undefined]
    return node.type === 'VariableDeclarator' && name && typeof value === 'number' ? [[name, value] as const] : []
  })
  return new Map(pairs)
}

/** What the file calls a function of node:timers/promises. */
function promisedTimers(file: Source): Set<string> {
  const fromTimers = importsOf(file).some(({ specifier }) => specifier === 'node:timers/promises')
  if (!fromTimers) return new Set()
  const locals = parse(file).visits.flatMap(({ node, parents }) => {
    const home = parents.at(-1)
    return node.type === 'ImportSpecifier' && textOf(home?.source) === 'node:timers/promises'
      ? [nameOf(node.local)]
      : []
  })
  return new Set(locals.filter((name) => name !== undefined))
}

function checkFile(file: Source) {
  const [numbers, timers] = [namedNumbers(file), promisedTimers(file)]
  const asMs = (node: unknown): number => {
    if (!isNode(node)) return 0
    return typeof node.value === 'number' ? node.value : (numbers.get(nameOf(node) ?? '') ?? 0)
  }
  return inCode(
    [file],
    () => true,
    (visit) => {
      const name = visit.node.type === 'CallExpression' ? nameOf(visit.node.callee) : undefined
      if (!name || !(sleepers.test(name) || timers.has(name))) return undefined
      const ms = Math.max(...argumentsOf(visit).slice(0, 2).map(asMs), 0)
      return ms >= longestPauseMs ? `${name} for ${ms} ms: use virtual time, or wait for a named signal` : undefined
    },
  )
}

export const waitingRules = {
  titles: {
    title: 'every test has a title that can be a guarantee',
    check: (files) => inCode(files, isTest, titleObjection),
  },
  sleeping: {
    title: 'no test sleeps',
    check: (files) => files.filter((file) => isTest(file) && /\.[mc]?[jt]sx?$/.test(file.path)).flatMap(checkFile),
  },
} satisfies Record<string, Rule>
