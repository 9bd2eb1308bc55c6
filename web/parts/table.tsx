import { Link } from '@tanstack/react-router'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { type CSSProperties, type ReactNode, useLayoutEffect, useRef, useState } from 'react'

export interface Column<T> {
  readonly key: string
  readonly title: string
  readonly cell: (row: T) => ReactNode
  /** The widest that a track of the grid gets: `2fr`, `90px`. */
  readonly width?: string
  /** Figures stand to the right. */
  readonly end?: boolean
  /** Left out on a phone. */
  readonly low?: boolean
  /** Where the rows can be sorted by it. */
  readonly onSort?: () => void
  readonly sorted?: 'ascending' | 'descending'
}

export interface TableProps<T> {
  /** What the rows are, for a screen reader. */
  readonly label: string
  readonly columns: readonly Column<T>[]
  readonly rows: readonly T[]
  readonly rowKey: (row: T) => string
  /** Where the first cell leads. */
  readonly rowLink?: (row: T) => string
  readonly isHere?: (row: T) => boolean
}

const usualRowPx = 35
// Below this many rows the browser is as fast with all of them, and its search finds each.
const drawnWholeUpTo = 100

/**
 * Rows and columns, by their roles: a table whose rows are laid out as a grid is no table to every browser. However many rows there are, only those in
 * sight are drawn.
 */
export function Table<T>(props: TableProps<T>) {
  const { label, columns, rows } = props
  const template = { '--tracks': columns.map(({ width = '1fr' }) => `minmax(0, ${width})`).join(' ') } as Template
  return (
    <div className="table" role="table" aria-label={label} aria-rowcount={rows.length + 1}>
      <div role="rowgroup" className="heads">
        <div role="row" aria-rowindex={1} style={template}>
          {columns.map((column) => (
            <Heading key={column.key} column={column} />
          ))}
        </div>
      </div>
      {rows.length <= drawnWholeUpTo ? (
        <div role="rowgroup">
          {rows.map((row, i) => (
            <Row key={props.rowKey(row)} row={row} index={i} of={props} template={template} />
          ))}
        </div>
      ) : (
        <InSight {...props} template={template} />
      )}
    </div>
  )
}

function Heading<T>({ column: { title, end, onSort, sorted } }: { readonly column: Column<T> }) {
  const arrow = sorted === 'ascending' ? ' ↑' : sorted === 'descending' ? ' ↓' : ''
  return (
    <div role="columnheader" className={end ? 'end' : undefined} aria-sort={sorted}>
      {onSort ? (
        <button type="button" onClick={onSort}>
          {title}
          {arrow}
        </button>
      ) : (
        title
      )}
    </div>
  )
}

/** The grid of all rows, as a property that a phone's layout overrides. */
type Template = CSSProperties

/** As tall as all rows, with those in sight in their places. */
function InSight<T>({ template, ...props }: TableProps<T> & { readonly template: Template }) {
  const body = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  useLayoutEffect(() => setTop((body.current?.getBoundingClientRect().top ?? 0) + window.scrollY), [])
  const virtual = useWindowVirtualizer({
    count: props.rows.length,
    estimateSize: () => usualRowPx,
    overscan: 10,
    scrollMargin: top,
    getItemKey: (i) => props.rowKey(props.rows[i] as T),
  })
  return (
    <div role="rowgroup" ref={body} className="insight" style={{ height: virtual.getTotalSize() }}>
      {virtual.getVirtualItems().map(({ index, key, start }) => {
        const place = { ...template, transform: `translateY(${start - top}px)` }
        const row = props.rows[index] as T
        return <Row key={key} row={row} index={index} of={props} template={place} measure={virtual.measureElement} />
      })}
    </div>
  )
}

interface RowProps<T> {
  readonly row: T
  readonly index: number
  readonly of: TableProps<T>
  readonly template: Template
  readonly measure?: (element: HTMLElement | null) => void
}

function Row<T>({ row, index, of: { columns, rowLink, isHere }, template, measure }: RowProps<T>) {
  return (
    <div
      role="row"
      ref={measure}
      data-index={index}
      aria-rowindex={index + 2}
      className={isHere?.(row) ? 'here' : undefined}
      style={template}
    >
      {columns.map(({ key, title, cell, end, low }, i) => (
        <div
          key={key}
          role="cell"
          className={[end && 'end', low && 'low'].filter(Boolean).join(' ') || undefined}
          data-title={title}
        >
          {i === 0 && rowLink ? (
            <Link className="rowlink" to={rowLink(row)}>
              {cell(row)}
            </Link>
          ) : (
            cell(row)
          )}
        </div>
      ))}
    </div>
  )
}
