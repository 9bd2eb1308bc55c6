import { useState } from 'react'
import type { StatusView } from '../../src/wire/views.ts'
import { Button } from '../parts/button.tsx'
import { Confirm } from '../parts/dialog.tsx'
import { StateMark } from '../parts/mark.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { type Column, Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { usdPerHour } from '../words/money.ts'

type Lost = StatusView['orphans'][number]

/** Machines with this install's tag that no row knows. On a new or restored data set they are only shown. */
export function LostMachines({ status: { orphans, sweepArmed } }: { readonly status: StatusView }) {
  const [asking, setAsking] = useState(false)
  return (
    <Panel
      title="Machines that no row knows"
      sub={sweepArmed ? 'released when found' : 'only shown: the sweep is not armed'}
      actions={
        !sweepArmed && (
          <Button act="armSweep" onPress={() => setAsking(true)}>
            Arm the sweep …
          </Button>
        )
      }
      flush
    >
      <Table
        label="Machines that no row knows"
        rows={orphans}
        rowKey={({ name }) => name}
        columns={columns}
        empty={<Empty title="There are none." />}
      />
      {asking && <Arm orphans={orphans} onClose={() => setAsking(false)} />}
    </Panel>
  )
}

const columns: readonly Column<Lost>[] = [
  { key: 'name', title: 'Machine', cell: ({ name }) => name, width: '1.6fr' },
  { key: 'cloud', title: 'Cloud', cell: ({ cloud }) => cloud },
  {
    key: 'state',
    title: 'State',
    cell: ({ releasing }) => (
      <StateMark shape={releasing ? 'between' : 'bad'}>{releasing ? 'releasing' : 'runs'}</StateMark>
    ),
  },
  { key: 'price', title: 'Per hour', cell: priceOf, width: '110px', end: true },
  { key: 'seen', title: 'Seen', cell: ({ firstSeenAt }) => <Age at={firstSeenAt} />, width: '90px', end: true },
]

function priceOf({ pricePerHourMicroUsd }: Lost): string {
  return pricePerHourMicroUsd === null ? 'unknown' : usdPerHour(pricePerHourMicroUsd)
}

function Arm({ orphans, onClose }: { readonly orphans: readonly Lost[]; readonly onClose: () => void }) {
  return (
    <Confirm
      title="Arm the sweep?"
      verb="Arm it"
      act="armSweep"
      call={{ body: { armed: true } }}
      danger={orphans.length > 0}
      onClose={onClose}
    >
      <p>
        From then on machines with this install's tag that no row knows are released, at once{' '}
        {orphans.length === 0 ? 'none' : <strong>{orphans.map(({ name }) => name).join(', ')}</strong>}. Look first
        whether a database that was restored has forgotten them.
      </p>
    </Confirm>
  )
}
