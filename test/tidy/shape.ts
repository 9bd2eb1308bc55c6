import {
  type Finding,
  folderOf,
  inCode,
  isCode,
  isNode,
  isTest,
  type Node,
  nameOf,
  parse,
  type Rule,
  type Source,
  type Visit,
} from './source.ts'

const fileLimit = 400
const functionLimit = 60

/** What was too long when the rule came. An entry may only shrink, and goes when it is no longer needed. */
export interface Ratchet {
  /** Path -> lines. */
  files: Record<string, number>
  /** Path#name -> lines. */
  functions: Record<string, number>
}

const measured = (file: Source): boolean => isCode(file) && /^(src|test|bench|web|bin)\//.test(file.path)

interface Length {
  path: string
  line: number
  key: string
  lines: number
}

/** Too long and not in the ratchet, longer than it says, or shorter than it says: all three must be told. */
function judge(lengths: Length[], limit: number, allowed: Record<string, number>, what: string): Finding[] {
  const findings = lengths.flatMap(({ path, line, key, lines }) => {
    const most = allowed[key]
    if (most === undefined)
      return lines > limit ? [{ path, line, message: `${what} of ${lines} lines; ${limit} is the limit` }] : []
    if (lines > most)
      return [{ path, line, message: `${what} grew from ${most} to ${lines} lines; it may only shrink` }]
    const advice = lines <= limit ? `remove ${key}` : `lower ${key} to ${lines}`
    return lines < most ? [{ path: 'test/tidy.ratchet.json', line: 1, message: `${advice}: it has shrunk` }] : []
  })
  const gone = Object.keys(allowed).filter((key) => !lengths.some((length) => length.key === key))
  return [
    ...findings,
    ...gone.map((key) => ({ path: 'test/tidy.ratchet.json', line: 1, message: `remove ${key}: it is gone` })),
  ]
}

const isStyle = ({ path }: Source): boolean => /^web\/.*\.css$/.test(path)

function fileLengths(files: Source[]): Length[] {
  return files
    .filter((file) => measured(file) || isStyle(file))
    .map(({ path, text }) => ({ path, line: 1, key: path, lines: text.trimEnd().split('\n').length }))
}

const functionTypes = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'])

function functionLengths(files: Source[]): Length[] {
  return files.filter(measured).flatMap((file) => {
    const { visits, lineAt } = parse(file)
    return visits
      .filter(({ node, parents }) => functionTypes.has(node.type) && !isSuite(parents))
      .map(({ node, parents, line }) => {
        const key = `${file.path}#${functionName(node, parents)}`
        return { path: file.path, line, key, lines: lineAt(node.end) - line + 1 }
      })
  })
}

/** The function given to `describe` is a heading, not a function. */
function isSuite(parents: Node[]): boolean {
  let called = parents.at(-1)
  // `describe.each(table)(title, suite)` is a call of a call.
  while (called?.type === 'CallExpression') called = called.callee as Node
  return parents.at(-1)?.type === 'CallExpression' && (nameOf(called) ?? '').split('.')[0] === 'describe'
}

function functionName(node: Node, parents: Node[]): string {
  const parent = parents.at(-1)
  const named = nameOf(node.id) ?? nameOf(parent?.id) ?? nameOf(parent?.key)
  if (named) return named
  const outer = parents.findLast((one) => functionTypes.has(one.type) && nameOf(one.id))
  return `${nameOf(outer?.id) ?? ''}(anonymous)`
}

export function lengthRules({
  files: allowedFiles,
  functions: allowedFunctions,
}: Ratchet): Record<'files' | 'functions', Rule> {
  return {
    files: {
      title: `no file is longer than ${fileLimit} lines`,
      check: (files) => judge(fileLengths(files), fileLimit, allowedFiles, 'a file'),
    },
    functions: {
      title: `no function is longer than ${functionLimit} lines`,
      check: (files) => judge(longest(functionLengths(files)), functionLimit, allowedFunctions, 'a function'),
    },
  }
}

/** Of functions with one name in one file, the longest stands for all in the ratchet; the others keep the limit. */
function longest(lengths: Length[]): Length[] {
  const sorted = [...lengths].sort((a, b) => b.lines - a.lines)
  const seen = new Set<string>()
  return sorted.filter(({ key, lines }) => {
    const first = !seen.has(key)
    seen.add(key)
    return first || lines > functionLimit
  })
}

const drawers = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'types', 'models', 'misc', 'shared'])

function checkNames(files: Source[]): Finding[] {
  return files.filter(measured).flatMap(({ path }) => {
    const parts = path.split('/').map((part) => part.replace(/(\.test)?\.\w+$/, ''))
    const drawer = parts.find((part) => drawers.has(part) || drawers.has(/^.*-(\w+)$/.exec(part)?.[1] ?? ''))
    return drawer ? [{ path, line: 1, message: `"${drawer}" is a drawer: name the duty` }] : []
  })
}

function checkBarrels(files: Source[]): Finding[] {
  return files.filter(measured).flatMap((file) => {
    const body = parse(file).program.body as unknown as Node[]
    const passedOn = body.filter((node) => node.type.startsWith('Export') && isNode(node.source))
    const everything = passedOn.find((node) => node.type === 'ExportAllDeclaration')
    const nothingElse =
      passedOn.length > 0 && body.every((node) => node.type === 'ImportDeclaration' || passedOn.includes(node))
    const message = 'a barrel: import from where the thing is defined'
    return everything || nothingElse
      ? [{ path: file.path, line: parse(file).lineAt((everything ?? passedOn[0])?.start ?? 0), message }]
      : []
  })
}

function defaultObjection({ node }: Visit): string | undefined {
  const renamed = node.type === 'ExportSpecifier' && isNode(node.exported) && node.exported.name === 'default'
  return node.type === 'ExportDefaultDeclaration' || renamed ? 'a default export: give it its name' : undefined
}

const isConfig = ({ path }: Source): boolean => /(^|\/)[\w-]+\.config\.\w+$/.test(path)

/** The first file of a folder, by name, says in two lines what the folder is for and what is deliberately absent. */
function checkOpenings(files: Source[]): Finding[] {
  const folders = Map.groupBy(
    files.filter((file) => /^src\/[^/]+\/[^/]+\.ts$/.test(file.path) && !isTest(file)),
    (file) => folderOf(file.path),
  )
  return [...folders.values()].flatMap((inside) => {
    const first = inside.reduce((a, b) => (a.path < b.path ? a : b))
    const [one = '', two = '', three = ''] = first.text.split('\n')
    const sentence = /^\/\/ [A-Z].*$/
    const opens = sentence.test(one) && /^\/\/ .*\.$/.test(two) && !three.startsWith('//')
    const message =
      'the first file of a folder opens with two comment lines: what it is for, what is deliberately absent'
    return opens ? [] : [{ path: first.path, line: 1, message }]
  })
}

export const shapeRules = {
  names: { title: 'no file or folder is a drawer (utils, helpers, common, types, models)', check: checkNames },
  barrels: { title: 'no file only passes on what others define', check: checkBarrels },
  defaults: {
    title: 'only configuration files have default exports',
    check: (files) => inCode(files, (file) => measured(file) && !isConfig(file), defaultObjection),
  },
  openings: {
    title: 'the first file of each folder says what the folder is for and what is absent',
    check: checkOpenings,
  },
} satisfies Record<string, Rule>
