import {
  type Finding,
  folderOf,
  inCode,
  isNode,
  isTest,
  type Node,
  nameOf,
  parse,
  type Rule,
  type Source,
  textOf,
  type Visit,
} from './source.ts'

function anyObjection({ node }: Visit): string | undefined {
  return node.type === 'TSAnyKeyword' ? 'any: say what it is, or unknown' : undefined
}

const isEmptyFunction = (node: unknown): boolean =>
  isNode(node) &&
  node.type === 'ArrowFunctionExpression' &&
  isNode(node.body) &&
  node.body.type === 'BlockStatement' &&
  isEmptyBlock(node.body)

const isEmptyBlock = (node: unknown): boolean => isNode(node) && Array.isArray(node.body) && node.body.length === 0

function catchObjection({ node }: Visit): string | undefined {
  const clause = node.type === 'CatchClause' && isEmptyBlock(node.body)
  const method = node.type === 'CallExpression' && isNode(node.callee) && nameOf(node.callee.property) === 'catch'
  const swallows = method && Array.isArray(node.arguments) && isEmptyFunction(node.arguments[0])
  return clause || swallows
    ? 'an empty catch: name the errors that are expected, and let the others through'
    : undefined
}

/** What makes a function's answer depend on more than its arguments. */
const ambient = new Set([
  'Date',
  'process',
  'performance',
  'console',
  'fetch',
  'crypto',
  'globalThis',
  'queueMicrotask',
  'Promise',
  'setTimeout',
  'setInterval',
  'setImmediate',
])

/** Names in these places are not references to a variable. */
const keyHolders = new Set([
  'MemberExpression',
  'Property',
  'MethodDefinition',
  'PropertyDefinition',
  'TSPropertySignature',
  'TSMethodSignature',
  'TSEnumMember',
])

function isReference({ node, parents }: Visit): boolean {
  const parent = parents.at(-1)
  if (!parent || !keyHolders.has(parent.type) || parent.computed === true) return true
  return parent.type === 'MemberExpression' ? parent.object === node : parent.key !== node || parent.shorthand === true
}

function purityObjection(visit: Visit, own: Set<string>): string | undefined {
  const { node } = visit
  if (node.type === 'AwaitExpression' || (node.type === 'ForOfStatement' && node.await === true))
    return 'core may not wait'
  if (node.async === true) return 'core may not wait: an async function'
  if (nameOf(node) === 'Math.random') return 'core has no chance: take it as an argument'
  if (node.type !== 'Identifier' || !ambient.has(String(node.name)) || own.has(String(node.name))) return undefined
  return isReference(visit) ? `core may not use ${node.name}: take what it gives as an argument` : undefined
}

/** The names that a file gives to things of its own, such as a parameter called `process`. */
function ownNames(file: Source): Set<string> {
  const names = parse(file).visits.flatMap(({ node }) => {
    const params = Array.isArray(node.params) ? (node.params as Node[]).map(nameOf) : []
    const imported = /^Import\w*Specifier$/.test(node.type) ? [nameOf(node.local)] : []
    return [...params, ...imported, node.type === 'VariableDeclarator' ? nameOf(node.id) : undefined]
  })
  return new Set(names.filter((name) => name !== undefined))
}

function checkCore(files: Source[]): Finding[] {
  const core = files.filter((file) => file.path.startsWith('src/core/') && !isTest(file))
  return core.flatMap((file) => {
    const own = ownNames(file)
    return inCode(
      [file],
      () => true,
      (visit) => purityObjection(visit, own),
    )
  })
}

// In two parts, or this file would find itself.
const notes = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`)

function checkNotes(files: Source[]): Finding[] {
  const written = files.filter(
    ({ path }) => path !== 'package-lock.json' && !/(^|\/)(fixtures|golden|samples)\//.test(path),
  )
  return written.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, i) =>
        notes.test(line) ? [{ path, line: i + 1, message: 'a note to do later: do it, or leave it' }] : [],
      ),
  )
}

const statement = new RegExp(
  [
    String.raw`(select|SELECT)\s[\s\S]*\s(from|FROM)\s`,
    String.raw`(insert\s+into|INSERT\s+INTO)\s`,
    String.raw`(update|UPDATE)\s+\S+\s+(set|SET)\s`,
    String.raw`(delete\s+from|DELETE\s+FROM)\s`,
    String.raw`(create|CREATE)\s+(unique\s+index|table|index|database|UNIQUE\s+INDEX|TABLE|INDEX|DATABASE)\s`,
    String.raw`(alter|drop|truncate|ALTER|DROP|TRUNCATE)\s+(table|index|TABLE|INDEX)\s`,
    String.raw`(with|WITH)\s+\w+\s+(as|AS)\s*\(`,
  ]
    .join('|')
    .replace(/^/, String.raw`^\s*(`)
    .concat(')'),
)

function sqlObjection({ node }: Visit): string | undefined {
  const text = textOf(node)
  return text && statement.test(text) ? 'SQL outside of store' : undefined
}

/** What a Debian has that was given nothing but Node and npm, `npm` included; and `mount`, for root. */
const onEveryMachine = new Set(['sh', '/bin/sh', '/bin/bash', 'chmod', 'mkfifo', 'mount', 'npm', 'sleep', 'umount'])
const starters = new Set(['execFile', 'execFileSync', 'spawn', 'spawnSync'])

function programObjection({ node }: Visit): string | undefined {
  if (node.type !== 'CallExpression' || !starters.has(nameOf(node.callee) ?? '')) return undefined
  const program = Array.isArray(node.arguments) ? textOf(node.arguments[0]) : undefined
  if (program === undefined || onEveryMachine.has(program)) return undefined
  return `${program} is not on every machine: bring it along, or test it in test/real`
}

/** Gives nothing of anybody else's to its shell: one constant text, and a folder of our own as its argument. */
const constantScript = 'src/store/embedded-files.ts'
const shellStarters = /^(exec|execSync)$/

function shellObjection({ node }: Visit): string | undefined {
  const objection = 'a shell: start the program itself, with its arguments as a list'
  if (node.type === 'Property' && nameOf(node.key) === 'shell') return objection
  if (node.type === 'ImportSpecifier' && shellStarters.test(nameOf(node.imported) ?? '')) return objection
  if (node.type !== 'CallExpression' || !Array.isArray(node.arguments)) return undefined
  if (!starters.has(nameOf(node.callee) ?? '')) return undefined
  const [program, words] = node.arguments as (Node | undefined)[]
  const isShell = program && /(^|\/)(ba|da)?sh$/.test(textOf(program) ?? '')
  const first = Array.isArray(words?.elements) ? (words.elements[0] as Node | undefined) : undefined
  return isShell && first && textOf(first) === '-c' ? objection : undefined
}

const runsEverywhere = (file: Source): boolean =>
  (isTest(file) || file.path.endsWith('-for-tests.ts')) && !file.path.startsWith('test/real/')

const startsForUsers = (file: Source): boolean =>
  /^(src|bin)\//.test(file.path) && !runsEverywhere(file) && file.path !== constantScript

const mayHoldSql = (file: Source): boolean => folderOf(file.path) === 'store' || isTest(file)

export const habitRules = {
  any: { title: 'nothing has the type any', check: (files) => inCode(files, () => true, anyObjection) },
  catches: {
    title: 'no error is swallowed by an empty catch',
    check: (files) => inCode(files, () => true, catchObjection),
  },
  core: { title: 'core has no clock, no chance, no process and waits for nothing', check: checkCore },
  notes: { title: 'nothing is left as a note to do it later', check: checkNotes },
  programs: {
    title: 'the suite that needs nothing but Node starts no other program by name',
    check: (files) => inCode(files, runsEverywhere, programObjection),
  },
  shells: {
    title: 'no shell reads what is started: programs get their arguments as a list',
    check: (files) => inCode(files, startsForUsers, shellObjection),
  },
  sql: {
    title: 'SQL stands only in store',
    check: (files) => inCode(files, (file) => !mayHoldSql(file), sqlObjection),
  },
} satisfies Record<string, Rule>
