import { humanRough } from '../../src/core/human-time.ts'
import type { NodeView } from '../../src/wire/views.ts'
import { useNow } from '../clock/ticking.ts'
import look from './signals.module.css'

export const witnesses = [
  { key: 'heartbeat', letter: 'H', name: 'heartbeat' },
  { key: 'probe', letter: 'P', name: 'probe' },
  { key: 'sighting', letter: 'C', name: 'cloud' },
] as const
export type Witness = (typeof witnesses)[number]

/** What each of the three witnesses said last, and how long ago. */
export function Signals({ of }: { readonly of: NodeView['signals'] }) {
  const now = useNow()
  return (
    <span className={look['signals']}>
      {witnesses.map(({ key, letter, name }) => {
        const { value, at, detail } = of[key]
        const age = at === null ? '' : humanRough(Math.max(0, now - Date.parse(at)))
        const said = `${name} ${value}${age && `, ${age} ago`}${detail ? `: ${detail}` : ''}`
        return (
          <span key={key} className={look['one']} title={said}>
            <i className={look[value]} aria-hidden="true">
              {letter}
            </i>
            <span aria-hidden="true">{age || '–'}</span>
            <span className="unseen">{said}.</span>
          </span>
        )
      })}
    </span>
  )
}

/** Who does not say that all is well: `probe bad, cloud unknown`. Empty where all three do. */
export function disagreement(signals: NodeView['signals']): string {
  return witnesses
    .filter(({ key }) => signals[key].value !== 'good')
    .map(({ key, name }) => `${name} ${signals[key].value}`)
    .join(', ')
}
