import { useWindowVirtualizer } from '@tanstack/react-virtual'
import {
  type CSSProperties,
  memo,
  type ReactNode,
  useEffect,
  useLayoutEffect,
  useReducer,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react'
import { useGo } from './go.ts'

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
  /** On a phone it takes the whole width, and needs no title. */
  readonly wide?: boolean
  /** Where the rows can be sorted by it. */
  readonly onSort?: () => void
  readonly sorted?: 'ascending' | 'descending'
}

export interface TableProps<T> {
  /** What the rows are, for a screen reader. */
  readonly label: string
  /** The same array from one drawing to the next, where there are many rows: only those that changed are drawn anew. */
  readonly columns: readonly Column<T>[]
  readonly rows: readonly T[]
  readonly rowKey: (row: T) => string
  /** Where the first cell leads. */
  readonly rowLink?: (row: T) => string
  readonly isHere?: (row: T) => boolean
  /** Stands in its place where there are no rows. */
  readonly empty?: ReactNode
}

const usualRowPx = 35
// Below this many rows the browser is as fast with all of them, and its search finds each.
const drawnWholeUpTo = 100
/** As in the style sheet: there a row is a block of several lines, whose height is not known before. */
const phone = '(width <= 760px)'

/**
 * Rows and columns, by their roles: a table whose rows are laid out as a grid is no table to every browser. However many
 * rows there are, only those in sight are drawn.
 */
export function Table<T>(props: TableProps<T>) {
  const { label, columns, rows, empty } = props
  const go = useGo()
  const isPhone = useIsPhone()
  if (rows.length === 0 && empty) return empty
  const tracks = columns.map(({ width = '1fr' }) => `minmax(0, ${width})`).join(' ')
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a link that is chosen with a key is clicked all the same.
    <div
      className="table"
      role="table"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      style={{ '--tracks': tracks } as CSSProperties}
      onClick={go}
    >
      <div role="rowgroup" className="heads">
        <div role="row" aria-rowindex={1}>
          {columns.map((column) => (
            <Heading key={column.key} column={column} />
          ))}
        </div>
      </div>
      {rows.length <= drawnWholeUpTo ? (
        <div role="rowgroup">
          {rows.map((row, i) => (
            <OneRow key={props.rowKey(row)} {...rowProps(props, row, i)} />
          ))}
        </div>
      ) : (
        // Turned, or made narrow: rows of another height begin anew.
        <InSight key={String(isPhone)} isPhone={isPhone} {...props} />
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

function hearTurns(listener: () => void): () => void {
  const media = matchMedia(phone)
  media.addEventListener('change', listener)
  return () => media.removeEventListener('change', listener)
}

const useIsPhone = (): boolean => useSyncExternalStore(hearTurns, () => matchMedia(phone).matches)

/** As tall as all rows, with those in sight in their places. */
function InSight<T>(props: TableProps<T> & { readonly isPhone: boolean }) {
  const { isPhone } = props
  const body = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  useLayoutEffect(() => {
    const measure = () => setTop((body.current?.getBoundingClientRect().top ?? 0) + window.scrollY)
    measure()
    // What stands above it may grow.
    const observer = new ResizeObserver(measure)
    observer.observe(document.body)
    return () => observer.disconnect()
  }, [])
  const virtual = useWindowVirtualizer({
    count: props.rows.length,
    estimateSize: () => (isPhone ? 5 * usualRowPx : usualRowPx),
    overscan: 4,
    scrollMargin: top,
    getItemKey: (i) => props.rowKey(props.rows[i] as T),
  })
  const drawn = useFewAtOnce(virtual.getVirtualItems())
  return (
    <div
      role="rowgroup"
      ref={body}
      className={isPhone ? 'insight' : 'insight even'}
      style={{ height: virtual.getTotalSize() }}
    >
      {drawn.map(({ index, key, start }) => (
        <OneRow
          key={key}
          {...rowProps(props, props.rows[index] as T, index)}
          at={start - top}
          {...(isPhone ? { measure: virtual.measureElement } : {})}
        />
      ))}
    </div>
  )
}

// More new rows than that in one frame, and a leap through thousands is felt as a jolt.
const mostFresh = 4

/** Those that were drawn before, and of the others a few more with each frame. */
function useFewAtOnce<T extends { readonly key: unknown }>(wanted: readonly T[]): readonly T[] {
  const before = useRef<ReadonlySet<unknown>>(new Set())
  const [, drawOn] = useReducer((frames: number) => frames + 1, 0)
  let fresh = 0
  const drawn = wanted.filter(({ key }) => before.current.has(key) || fresh++ < mostFresh)
  useEffect(() => {
    before.current = new Set(drawn.map(({ key }) => key))
    if (drawn.length === wanted.length) return
    const frame = requestAnimationFrame(drawOn)
    return () => cancelAnimationFrame(frame)
  })
  return drawn
}

interface RowProps {
  readonly row: unknown
  readonly index: number
  readonly columns: readonly Column<never>[]
  readonly link: string | undefined
  readonly here: boolean
  /** Where it stands, in px from the first; absent where rows follow each other by themselves. */
  readonly at?: number
  readonly measure?: (element: HTMLElement | null) => void
}

function rowProps<T>({ columns, rowLink, isHere }: TableProps<T>, row: T, index: number): RowProps {
  return {
    row,
    index,
    columns: columns as readonly Column<never>[],
    link: rowLink?.(row),
    here: isHere?.(row) ?? false,
  }
}

const OneRow = memo(function OneRow({ row, index, columns, link, here, at, measure }: RowProps) {
  return (
    <div
      role="row"
      ref={measure}
      data-index={index}
      aria-rowindex={index + 2}
      className={here ? 'here' : undefined}
      style={at === undefined ? undefined : { transform: `translateY(${at}px)` }}
    >
      {columns.map(({ key, title, cell, end, low, wide }, i) => (
        <div
          key={key}
          role="cell"
          className={[end && 'end', low && 'low', wide && 'wide'].filter(Boolean).join(' ') || undefined}
          data-title={title || undefined}
        >
          {i === 0 && link ? (
            <a className="rowlink" href={link}>
              {cell(row as never)}
            </a>
          ) : (
            cell(row as never)
          )}
        </div>
      ))}
    </div>
  )
})
