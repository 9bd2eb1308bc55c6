import { useRead } from '../api/reading.ts'
import { type PickOption, Picks } from '../parts/pick.tsx'
import { onTheWay } from './on-the-way.tsx'

/** What a list of launches may be narrowed by; empty where it is not. */
export const everyLaunch = { state: '', model: '', deployment: '', cursor: '' }
export type LaunchWish = typeof everyLaunch

/** States as people ask for them; each stands for states as the API takes them. */
const groups: readonly PickOption[] = [
  [onTheWay, 'on their way'],
  ['live', 'live'],
  ['failed,timed_out', 'failed'],
  ['ended,cancelled', 'ended'],
]

export interface LaunchFiltersProps {
  readonly wish: LaunchWish
  readonly onNarrow: (patch: Partial<LaunchWish>) => void
}

export function LaunchFilters({ wish, onNarrow }: LaunchFiltersProps) {
  const models = named(useRead('listModels').data?.items)
  const deployments = named(useRead('listDeployments').data?.items)
  return (
    <Picks
      of={[
        { field: 'state', label: 'State', any: 'any state', options: groups },
        { field: 'model', label: 'Model', any: 'any model', options: models },
        { field: 'deployment', label: 'Deployment', any: 'any deployment', options: deployments },
      ]}
      chosen={wish}
      onPick={onNarrow}
    />
  )
}

const named = (items: readonly { readonly name: string }[] = []): PickOption[] => items.map(({ name }) => [name, name])
