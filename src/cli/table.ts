import { cut, padEnd, padStart, plainLine, widthOf } from './plain-text.ts'
import type { Look } from './terminal.ts'

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => string
  readonly right?: boolean
  /** May be cut where the screen is narrow; the longest of these gives first. */
  readonly gives?: boolean
  readonly paint?: (row: Row) => ((text: string) => string) | undefined
}

const gap = '  '
const narrowest = 6

/** Aligned columns without boxes, one line for each row, never wider than the screen. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], look: Look): string {
  const cells = rows.map((row) => columns.map((column) => plainLine(column.cell(row)) || '-'))
  const wanted = columns.map(({ title }, i) => Math.max(widthOf(title), ...cells.map((line) => widthOf(line[i] ?? ''))))
  const widths = shrink(wanted, columns, look.columns)
  const place = (text: string, i: number) => {
    const width = widths[i] ?? 0
    const shown = cut(text, width)
    if (columns[i]?.right) return padStart(shown, width)
    return i === columns.length - 1 ? shown : padEnd(shown, width)
  }
  const head = look.paint.dim(cut(columns.map(({ title }, i) => place(title, i)).join(gap), look.columns))
  const body = cells.map((line, r) => {
    const texts = line.map((text, i) => place(text, i))
    // A line that is still too long is cut before it is painted: a cut escape code would colour the rest.
    if (widthOf(texts.join(gap)) > look.columns) return cut(texts.join(gap), look.columns)
    return texts.map((text, i) => columns[i]?.paint?.(rows[r] as Row)?.(text) ?? text).join(gap)
  })
  return [head, ...body].map((line) => `${line.trimEnd()}\n`).join('')
}

function shrink<Row>(wanted: readonly number[], columns: readonly Column<Row>[], limit: number): number[] {
  const widths = [...wanted]
  const total = () => widths.reduce((sum, width) => sum + width + gap.length, -gap.length)
  for (let over = total() - limit; over > 0; over = total() - limit) {
    const givers = widths.map((width, i) => (columns[i]?.gives && width > narrowest ? width : 0))
    const longest = Math.max(...givers)
    if (longest === 0) break
    widths[givers.indexOf(longest)] = Math.max(narrowest, longest - Math.min(over, 4))
  }
  return widths
}

/** `name  value` lines; empty values are left out. */
export function facts(pairs: readonly (readonly [string, string | null])[], look: Look): string {
  const shown = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== null && pair[1] !== '')
  const width = Math.max(0, ...shown.map(([name]) => widthOf(name)))
  return shown.map(([name, value]) => `${look.paint.dim(padEnd(name, width))}  ${value}\n`).join('')
}
