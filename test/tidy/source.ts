// The house rules as tests: each rule takes files and returns what is wrong with them. Deliberately absent: judgement.
// Exceptions are data in the tables beside the rules, or, for lengths only, in tidy.ratchet.json.
import { type ESTree, parseSync } from 'rolldown/utils'

/** A file as a rule sees it. Tests make them by hand; the real ones come from `readTree`. */
export interface Source {
  /** From the root of the repository, with forward slashes. */
  path: string
  text: string
}

export interface Finding {
  path: string
  line: number
  message: string
}

export interface Rule {
  /** What holds when the rule finds nothing; the title of its test. */
  title: string
  check(files: Source[]): Finding[]
}

export interface Node {
  type: string
  start: number
  end: number
  [key: string]: unknown
}

export interface Visit {
  node: Node
  /** The nodes around it, outermost first. */
  parents: Node[]
  line: number
}

export interface Parsed {
  program: ESTree.Program
  comments: { type: string; value: string; start: number; end: number }[]
  visits: Visit[]
  lineAt(offset: number): number
}

const parsed = new WeakMap<Source, Parsed>()

export const isCode = ({ path }: Source): boolean => /\.(ts|tsx|mts|js|mjs|cjs|jsx)$/.test(path)

/** Test files beside the code, and everything under test/: they may reach everywhere. */
export const isTest = ({ path }: Source): boolean => /\.test\.tsx?$/.test(path) || path.startsWith('test/')

/** `src/core/x.ts` belongs to core; outside src, the first folder counts. */
export function folderOf(path: string): string {
  const [first = '', second = ''] = path.split('/')
  return first === 'src' ? second : first
}

/** Syntax tree and every node in it, read once for all rules. */
export function parse(source: Source): Parsed {
  const known = parsed.get(source)
  if (known) return known
  const { program, comments, errors } = parseSync(source.path, source.text, { sourceType: 'module' })
  if (errors.length > 0) throw new Error(`${source.path} cannot be parsed: ${errors[0]?.message}`)
  const lineAt = lineFinder(source.text)
  const visits: Visit[] = []
  collect(program as unknown as Node, [], lineAt, visits)
  const result = { program, comments, visits, lineAt }
  parsed.set(source, result)
  return result
}

function collect(node: Node, parents: Node[], lineAt: (offset: number) => number, into: Visit[]): void {
  into.push({ node, parents, line: lineAt(node.start) })
  const inner = [...parents, node]
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) collect(child, inner, lineAt, into)
  }
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
}

function lineFinder(text: string): (offset: number) => number {
  const starts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (offset) => {
    let [low, high] = [0, starts.length]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return low + 1
  }
}

/** `a`, `a.b`, `a.b.c` for a plain name or chain of names; undefined for anything else. */
export function nameOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined
  if (node.type === 'Identifier') return String(node.name)
  if (node.type !== 'MemberExpression' || node.computed === true) return undefined
  const [object, property] = [nameOf(node.object), nameOf(node.property)]
  return object && property ? `${object}.${property}` : undefined
}

/** The value of a plain string or of a template's fixed parts; undefined for anything else. */
export function textOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined
  if (node.type === 'Literal') return typeof node.value === 'string' ? node.value : undefined
  if (node.type !== 'TemplateLiteral' || !Array.isArray(node.quasis)) return undefined
  return node.quasis.map((quasi: { value: { cooked?: string } }) => quasi.value.cooked ?? '').join('?')
}

/** Findings in the code files that `applies` chooses, one for each node that `look` objects to. */
export function inCode(
  files: Source[],
  applies: (file: Source) => boolean,
  look: (visit: Visit, file: Source) => string | undefined,
): Finding[] {
  return files
    .filter((file) => isCode(file) && applies(file))
    .flatMap((file) =>
      parse(file).visits.flatMap((visit) => {
        const message = look(visit, file)
        return message ? [{ path: file.path, line: visit.line, message }] : []
      }),
    )
}

export const format = ({ path, line, message }: Finding): string => `${path}:${line} ${message}`
