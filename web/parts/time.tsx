import { humanRough } from '../../src/core/human-time.ts'
import { useNow } from '../clock/ticking.ts'

const inFull = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' })
const ofDay = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })

/** How long ago by the server's clock, counting on. Null: it never was. */
export function Age({ at, never = 'never' }: { readonly at: string | null; readonly never?: string }) {
  const now = useNow()
  if (at === null) return never
  return <Time at={at}>{calm(Math.max(0, now - Date.parse(at)))}</Time>
}

/** After ten minutes nobody counts seconds, and a figure that moves draws the eye. */
const calm = (ms: number): string => (ms < 600_000 ? humanRough(ms) : humanRough(ms).replace(/m\d\ds$/, 'm'))

/** From one moment to another, or until now while it runs. */
export function Elapsed({ from, to }: { readonly from: string; readonly to: string | null }) {
  const now = useNow()
  const end = to === null ? now : Date.parse(to)
  return <Time at={from}>{humanRough(Math.floor((end - Date.parse(from)) / 1_000) * 1_000)}</Time>
}

/** How long until then; `over` once it has come. */
export function Left({ until, over = 'now' }: { readonly until: string; readonly over?: string }) {
  const ms = Date.parse(until) - useNow()
  return <Time at={until}>{ms > 0 ? humanRough(ms) : over}</Time>
}

/** The time of day here, where the reader is. */
export function Clock({ at }: { readonly at: string }) {
  return <Time at={at}>{ofDay.format(new Date(at))}</Time>
}

function Time({ at, children }: { readonly at: string; readonly children: string }) {
  return (
    <time dateTime={at} title={inFull.format(new Date(at))}>
      {children}
    </time>
  )
}
