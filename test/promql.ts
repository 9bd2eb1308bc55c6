// What an expression of PromQL names, for tests that hold it against figures that are really told.
// Deliberately absent: whether it is right, which promtool says in test/real/alerts.test.ts.

export interface Matcher {
  readonly label: string
  readonly op: '=' | '!=' | '=~' | '!~'
  readonly value: string
}

export interface Named {
  /** Each metric, with what is asked of its labels. */
  readonly metrics: readonly { readonly name: string; readonly matchers: readonly Matcher[] }[]
  /** Labels that the expression groups or joins by. */
  readonly labels: readonly string[]
}

const words = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan'])
const listed = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right'])
const token = /\s+|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\{[^}]*\}|[a-zA-Z_:][\w:]*|\d[\w.]*|[^\s\w]/gy

/** @throws Error where the expression holds something that is not known here. */
export function namesIn(expr: string): Named {
  const metrics: { name: string; matchers: readonly Matcher[] }[] = []
  const labels: string[] = []
  const read = expr.match(token) ?? []
  if (read.join('') !== expr) throw new Error(`This is not read to its end: ${expr}`)
  const tokens = read.filter((text) => text.trim() !== '')
  for (let i = 0; i < tokens.length; i++) {
    const text = tokens[i] ?? ''
    const next = tokens[i + 1] ?? ''
    if (!/^[a-zA-Z_:]/.test(text) || words.has(text.toLowerCase())) continue
    if (listed.has(text)) {
      const end = tokens.indexOf(')', i)
      labels.push(...tokens.slice(i + 2, end).filter((one) => one !== ','))
      i = end
    } else if (next !== '(' && !listed.has(next)) {
      metrics.push({ name: text, matchers: next.startsWith('{') ? matchersIn(next) : [] })
    }
  }
  return { metrics, labels }
}

function matchersIn(braces: string): Matcher[] {
  const found = [...braces.matchAll(/(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"/g)]
  return found.map(([, label = '', op, value = '']) => ({ label, op: op as Matcher['op'], value }))
}

/** Every name of a page in Prometheus' text format, with the values of each of its labels. */
export function figuresOn(page: string): Map<string, Map<string, Set<string>>> {
  const figures = new Map<string, Map<string, Set<string>>>()
  for (const line of page.split('\n')) {
    const [, name, labels = ''] = /^([a-zA-Z_:][\w:]*)(\{.*\})? /.exec(line) ?? []
    if (name === undefined) continue
    const of = figures.get(name) ?? new Map<string, Set<string>>()
    figures.set(name, of)
    for (const { label, value } of matchersIn(labels)) of.set(label, (of.get(label) ?? new Set<string>()).add(value))
  }
  return figures
}
