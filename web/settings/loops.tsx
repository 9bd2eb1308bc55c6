import { humanRough } from '../../src/core/human-time.ts'
import type { StatusView } from '../../src/wire/views.ts'
import { StateMark } from '../parts/mark.tsx'
import { Panel } from '../parts/panel.tsx'
import { type Column, Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'

type Loop = StatusView['loops'][number]

/** Every loop on every server: whether it is well, and its last pass. */
export function Loops({ loops }: { readonly loops: readonly Loop[] }) {
  return (
    <Panel title="Loops" flush>
      <Table label="Loops" rows={loops} rowKey={({ loop, server }) => `${loop}-${server}`} columns={columns} />
    </Panel>
  )
}

const columns: readonly Column<Loop>[] = [
  { key: 'loop', title: 'Loop', cell: ({ loop }) => loop, width: '1.5fr' },
  {
    key: 'state',
    title: 'State',
    cell: ({ error, late, paused }) => (
      <>
        <StateMark shape={error ? 'bad' : paused ? 'between' : late ? 'doubtful' : 'good'}>
          {error ? 'fails' : paused ? 'paused' : late ? 'late' : 'well'}
        </StateMark>{' '}
        {error}
      </>
    ),
    width: '2fr',
    wide: true,
  },
  { key: 'last', title: 'Last pass', cell: ({ lastPassAt }) => <Age at={lastPassAt} />, width: '90px', end: true },
  {
    key: 'took',
    title: 'Took',
    cell: ({ tookMs }) => (tookMs === null ? '' : `${Math.round(tookMs)} ms`),
    width: '90px',
    end: true,
  },
  { key: 'moved', title: 'Moved', cell: ({ moved }) => moved, width: '80px', end: true, low: true },
  { key: 'every', title: 'Every', cell: ({ everyMs }) => humanRough(everyMs), width: '80px', end: true, low: true },
  { key: 'server', title: 'Server', cell: ({ server }) => server, width: '1.5fr', low: true },
]
