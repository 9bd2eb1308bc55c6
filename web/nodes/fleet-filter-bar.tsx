import { useMemo } from 'react'
import type { NodeView } from '../../src/wire/views.ts'
import { Button } from '../parts/button.tsx'
import look from './fleet-filter-bar.module.css'
import { type FleetFilters, groupWords, noFilters, placeOf } from './fleet-order.ts'

export interface FleetFilterBarProps {
  readonly nodes: readonly NodeView[]
  readonly filters: FleetFilters
  readonly onChange: (patch: Partial<FleetFilters>) => void
}

type Option = readonly [value: string, text: string]

const groups: readonly Option[] = Object.entries(groupWords)
const bills: readonly Option[] = [
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

function each(nodes: readonly NodeView[], of: (node: NodeView) => string): Option[] {
  return [...new Set(nodes.map(of))].sort().map((value) => [value, value])
}

interface PickProps {
  readonly label: string
  /** What no choice is called. */
  readonly any: string
  readonly value: string
  readonly options: readonly Option[]
  readonly onPick: (value: string) => void
}

function Pick({ label, any, value, options, onPick }: PickProps) {
  // A choice that came with an address stays visible though nothing is like that now.
  const all: readonly Option[] =
    value === '' || options.some(([one]) => one === value) ? options : [...options, [value, value]]
  return (
    <select className="input inline" aria-label={label} value={value} onChange={(event) => onPick(event.target.value)}>
      <option value="">{any}</option>
      {all.map(([one, text]) => (
        <option key={one} value={one}>
          {text}
        </option>
      ))}
    </select>
  )
}
