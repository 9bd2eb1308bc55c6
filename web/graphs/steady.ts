interface Point {
  readonly at: string
}

export interface Steady<T> {
  /** Epoch seconds. */
  readonly xs: readonly number[]
  /** Null where nothing was told: a line that went on there would be made up. */
  readonly rows: readonly (T | null)[]
}

// Samples are taken a little late now and then; from here on one is missing.
const missingFrom = 2.5

/** Points in the order of time with a hole on both sides of each gap, and to both ends of the span that was asked for. */
export function steady<T extends Point>(points: readonly T[], from: string, to: string, everyS: number): Steady<T> {
  const xs: number[] = []
  const rows: (T | null)[] = []
  const put = (x: number, row: T | null) => {
    xs.push(x)
    rows.push(row)
  }
  const start = secondsOf(from)
  const end = secondsOf(to)
  let last = start
  for (const point of points) {
    const x = secondsOf(point.at)
    if (x - last > missingFrom * everyS) {
      put(xs.length === 0 ? start : last + everyS, null)
      put(x - everyS, null)
    }
    put(x, point)
    last = x
  }
  if (xs.length === 0) put(start, null)
  if (end - last > missingFrom * everyS) {
    put(Math.max(start, last) + everyS, null)
    put(end, null)
  }
  return { xs, rows }
}

/** What each point says; `hole` where nothing was told. */
export const valuesOf = <T>(
  rows: Steady<T>['rows'],
  of: (row: T) => number | null,
  hole: number | null = null,
): (number | null)[] => rows.map((row) => (row === null ? hole : of(row)))

const secondsOf = (at: string): number => Date.parse(at) / 1_000

/** `3 ms`, `1.2 s`, `42 s`. */
export function briefMs(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  return `${ms < 10_000 ? (ms / 1_000).toFixed(1) : Math.round(ms / 1_000)} s`
}

const figures = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })

/** `1,240.5` */
export const brief = (value: number): string => figures.format(value)

const ofDay = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })

/** `14:05`, where the reader is. */
export const clock = (seconds: number): string => ofDay.format(seconds * 1_000)
