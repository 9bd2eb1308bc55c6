import type { LaunchView } from '../../src/wire/views.ts'
import { ProgressBar } from '../parts/bar.tsx'
import { MarkedState } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import type { Column } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { markOfLaunch, plain, progressWords } from '../words/states.ts'

export const launchColumns: readonly Column<LaunchView>[] = [
  { key: 'model', title: 'Model', cell: ({ model }) => model, width: '1.6fr' },
  { key: 'state', title: 'State', cell: ({ state }) => <MarkedState of={markOfLaunch(state)} /> },
  { key: 'now', title: 'Now', cell: (launch) => <Now of={launch} />, width: '2fr', wide: true },
  { key: 'deployment', title: 'Deployment', cell: ({ deployment, slot }) => `${deployment}, slot ${slot}` },
  { key: 'by', title: 'By', cell: ({ requestedBy }) => requestedBy, low: true },
  { key: 'age', title: 'Age', cell: ({ createdAt }) => <Age at={createdAt} />, width: '90px', end: true },
  { key: 'cost', title: 'Cost', cell: (launch) => <Money microUsd={launch.costMicroUsd} />, width: '110px', end: true },
]

/** How far it is and how long it takes; or why it waits or failed. */
function Now({ of }: { readonly of: LaunchView }) {
  const { state, queuePlace, waitsFor, phase, percent, failure, endAskedBy } = of
  if (state === 'queued') return `place ${queuePlace}${waitsFor ? `: ${waitsFor}` : ''}`
  if (state === 'backing_off') return waitsFor ?? 'tries again soon'
  if (state === 'attempting')
    return (
      <>
        <ProgressBar percent={percent} label={`${of.model}, ${plain(phase)}`} />
        {progressWords(of)}
      </>
    )
  if (state === 'live') return null
  if (failure && failure.code !== 'cancelled') return failure.cause
  return endAskedBy === null ? null : `by ${endAskedBy}`
}
