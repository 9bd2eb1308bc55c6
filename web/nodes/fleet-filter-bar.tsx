import { useMemo } from 'react'
import type { NodeView } from '../../src/wire/views.ts'
import { Button } from '../parts/button.tsx'
import { Pick, type PickOption } from '../parts/pick.tsx'
import look from './fleet-filter-bar.module.css'
import { type FleetFilters, groupWords, noFilters, placeOf } from './fleet-order.ts'

export interface FleetFilterBarProps {
  readonly nodes: readonly NodeView[]
  readonly filters: FleetFilters
  readonly onChange: (patch: Partial<FleetFilters>) => void
}

const groups: readonly PickOption[] = Object.entries(groupWords)
const bills: readonly PickOption[] = [
  ['yes', 'billed'],
  ['unknown', 'maybe billed'],
  ['no', 'not billed'],
]

export function FleetFilterBar({ nodes, filters, onChange }: FleetFilterBarProps) {
  const { places, models } = useMemo(
    () => ({ places: each(nodes, placeOf), models: each(nodes, (node) => node.model) }),
    [nodes],
  )
  const { q, group, place, model, billed } = filters
  const isNarrowed = [q, group, place, model, billed].some(Boolean)
  return (
    <search className={look['bar']}>
      <input
        className="input"
        type="search"
        aria-label="Find nodes"
        placeholder="Find: name, model, state, GPU …"
        value={q}
        onChange={(event) => onChange({ q: event.target.value })}
      />
      <Pick
        label="State"
        any="any state"
        value={group}
        options={groups}
        onPick={(value) => onChange({ group: value })}
      />
      <Pick
        label="Place"
        any="any place"
        value={place}
        options={places}
        onPick={(value) => onChange({ place: value })}
      />
      <Pick
        label="Model"
        any="any model"
        value={model}
        options={models}
        onPick={(value) => onChange({ model: value })}
      />
      <Pick
        label="Billed"
        any="billed or not"
        value={billed}
        options={bills}
        onPick={(value) => onChange({ billed: value })}
      />
      {isNarrowed && (
        <Button look="quiet" onPress={() => onChange({ ...noFilters, by: filters.by, dir: filters.dir })}>
          Show all
        </Button>
      )}
    </search>
  )
}

function each(nodes: readonly NodeView[], of: (node: NodeView) => string): PickOption[] {
  return [...new Set(nodes.map(of))].sort().map((value) => [value, value])
}
