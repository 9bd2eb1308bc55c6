import { memo } from 'react'
import { type Line, toldRows } from './line.ts'
import { clock } from './steady.ts'

// As many as somebody listens to; the samples themselves are a call of the API.
const rowsMost = 30

interface GraphTableProps {
  readonly title: string
  readonly xs: readonly number[]
  readonly lines: readonly Line[]
  readonly words: (value: number) => string
}

/** The same as the lines, for whoever does not see them. Drawn anew with its values, not with the pointer. */
export const GraphTable = memo(function GraphTable({ title, xs, lines, words }: GraphTableProps) {
  const rows = toldRows(xs, lines, rowsMost)
  if (rows.length === 0) return <p className="unseen">Nothing was told.</p>
  return (
    <div className="unseen">
      <table>
        <caption>{title}, the newest first</caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {lines.map(({ name }) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ x, values }) => (
            <tr key={x}>
              <th scope="row">{clock(x)}</th>
              {lines.map(({ name }, i) => (
                <td key={name}>{said(values[i] ?? null, words)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
})

const said = (value: number | null, words: GraphTableProps['words']): string =>
  value === null ? 'not told' : words(value)
