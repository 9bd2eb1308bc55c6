import { useMemo } from 'react'
import type { NodeView } from '../../src/wire/views.ts'
import { Button } from '../parts/button.tsx'
import { type PickOption, Picks } from '../parts/pick.tsx'
import { billedWords } from '../words/money.ts'
import { placeOf } from '../words/offers.ts'
import look from './fleet-filter-bar.module.css'
import { type FleetFilters, groupWords, noFilters } from './fleet-order.ts'

export interface FleetFilterBarProps {
  readonly nodes: readonly NodeView[]
  readonly filters: FleetFilters
  readonly onChange: (patch: Partial<FleetFilters>) => void
}

const groups: readonly PickOption[] = Object.entries(groupWords)
const bills: readonly PickOption[] = Object.entries(billedWords)

export function FleetFilterBar({ nodes, filters, onChange }: FleetFilterBarProps) {
  const { places, models } = useMemo(
    () => ({ places: each(nodes, ({ offer }) => placeOf(offer)), models: each(nodes, (node) => node.model) }),
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
      <Picks
        of={[
          { field: 'group', label: 'State', any: 'any state', options: groups },
          { field: 'place', label: 'Place', any: 'any place', options: places },
          { field: 'model', label: 'Model', any: 'any model', options: models },
          { field: 'billed', label: 'Billed', any: 'billed or not', options: bills },
        ]}
        chosen={filters}
        onPick={onChange}
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
