import { memo } from 'react'
import { fleetGroups } from '../../src/core/fleet-group.ts'
import type { NodeView } from '../../src/wire/views.ts'
import { useGo } from '../parts/go.ts'
import { count } from '../words/counts.ts'
import { markOfNode } from '../words/states.ts'
import look from './fleet-map.module.css'
import { groupWords, type Place, placesOf } from './fleet-order.ts'

/** As many as leave room for all places; whoever needs a look is among the first. */
const drawnOf = (places: number): number => (places > 6 ? 42 : 126)

export interface FleetMapProps {
  readonly nodes: readonly NodeView[]
  readonly chosen: string
  readonly onChoose: (place: string) => void
}

/** One square for each node, by cloud and region: one look tells where something is wrong. */
export const FleetMap = memo(function FleetMap({ nodes, chosen, onChoose }: FleetMapProps) {
  const places = placesOf(nodes)
  return (
    <ul className={look['places']}>
      {places.map((place) => (
        <li key={place.name} className={look['place']}>
          <button
            type="button"
            className={look['name']}
            aria-pressed={chosen === place.name}
            onClick={() => onChoose(chosen === place.name ? '' : place.name)}
          >
            {place.name}
          </button>
          <Squares nodes={place.nodes} drawn={drawnOf(places.length)} />
          <span className={look['counts']}>{inWords(place)}</span>
        </li>
      ))}
    </ul>
  )
})

/** For the mouse and the eye; the same stands in words beside it, and in the table below. */
function Squares({ nodes, drawn }: { readonly nodes: readonly NodeView[]; readonly drawn: number }) {
  const go = useGo()
  const more = nodes.length - drawn
  return (
    <span className={look['squares']} aria-hidden="true" onClick={go}>
      {nodes.slice(0, drawn).map((node) => {
        const { shape, word } = markOfNode(node)
        return (
          // biome-ignore lint/a11y/useAnchorContent: nobody hears it; the same stands in words beside it.
          <a
            key={node.id}
            href={`/nodes/${node.id}`}
            tabIndex={-1}
            className={look[shape]}
            title={`${node.name}: ${word}`}
          />
        )
      })}
      {more > 0 && <span className={look['more']}>+ {count(more)}</span>}
    </span>
  )
}

function inWords({ counts }: Place) {
  return fleetGroups
    .filter((group) => counts[group] > 0)
    .map((group, i) => (
      <span key={group} className={group === 'wrong' ? 'warn' : undefined}>
        {i > 0 && ' · '}
        {count(counts[group])} {groupWords[group]}
      </span>
    ))
}
