import { Fragment } from 'react'
import { humanRough } from '../../src/core/human-time.ts'
import type { NodeView } from '../../src/wire/views.ts'
import { useNow } from '../clock/ticking.ts'
import { Age } from '../parts/time.tsx'
import look from './signals.module.css'

export const witnesses = [
  { key: 'heartbeat', letter: 'H', name: 'heartbeat' },
  { key: 'probe', letter: 'P', name: 'probe' },
  { key: 'sighting', letter: 'C', name: 'cloud' },
] as const
export type Witness = (typeof witnesses)[number]

export type Signal = NodeView['signals'][Witness['key']]

/** Since when a witness says what it says; of one that is well its last word is what counts. */
const shownAt = ({ value, at, since }: Signal): string | null => (value === 'good' ? at : (since ?? at))

/** What each of the three witnesses says: how long ago where it is well, for how long where it is not. */
export function Signals({ of }: { readonly of: NodeView['signals'] }) {
  const now = useNow()
  const ageOf = (at: string): string => humanRough(Math.max(0, now - Date.parse(at)))
  return (
    <span className={look['signals']}>
      {witnesses.map(({ key, letter, name }) => {
        const { value, at, since, detail } = of[key]
        const lasting = since === null ? '' : ` for ${ageOf(since)}`
        const last = at === null ? '' : `, last word ${ageOf(at)} ago`
        const said = `${name} ${value}${lasting}${last}${detail ? `: ${detail}` : ''}`
        const shown = shownAt(of[key])
        return (
          <span key={key} className={look['one']} title={said}>
            <i className={look[value]} aria-hidden="true">
              {letter}
            </i>
            <span aria-hidden="true">{shown === null ? '–' : ageOf(shown)}</span>
            <span className="unseen">{said}.</span>
          </span>
        )
      })}
    </span>
  )
}

/** Who does not say that all is well, and since when: ` (probe bad for 10m, cloud unknown)`. Nothing where all three do. */
export function Disagreement({ of }: { readonly of: NodeView['signals'] }) {
  const who = witnesses.filter(({ key }) => of[key].value !== 'good')
  if (who.length === 0) return null
  const each = who.map(({ key, name }, i) => (
    <Fragment key={key}>
      {i > 0 && ', '}
      {name} <Lasting of={of[key]} />
    </Fragment>
  ))
  return <> ({each})</>
}

/** `bad for 10m`. */
export function Lasting({ of: { value, since } }: { readonly of: Signal }) {
  if (since === null) return value
  return (
    <>
      {value} for <Age at={since} />
    </>
  )
}
