import { Link } from '@tanstack/react-router'
import { useCallback, useMemo, useState } from 'react'
import type { NodeView, StatusView } from '../../src/wire/views.ts'
import { useFleet } from '../live/fleet.ts'
import { useStatus } from '../live/status.ts'
import { FleetFilterBar } from '../nodes/fleet-filter-bar.tsx'
import { FleetMap } from '../nodes/fleet-map.tsx'
import { narrowed, noFilters } from '../nodes/fleet-order.ts'
import { FleetTrouble } from '../nodes/fleet-trouble.tsx'
import { nodeColumns } from '../nodes/node-columns.tsx'
import { NodeDialog } from '../nodes/node-dialog.tsx'
import { useAddressState } from '../parts/address-state.ts'
import { Money } from '../parts/money.tsx'
import { Page, Waiting } from '../parts/page.tsx'
import { Empty, Facts, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { count, counted } from '../words/counts.ts'

export function FleetPage() {
  const all = useFleet()
  // What is gone stays in the table for a moment, and is no node any more.
  const living = useMemo(() => all?.filter(({ state }) => state !== 'gone') ?? [], [all])
  const clouds = new Set(living.map(({ offer }) => offer.cloud)).size
  return (
    <Page
      title="Fleet"
      sub={all && `${counted(living.length, 'node')} on ${counted(clouds, 'cloud')}`}
      actions={
        <Link to="/launch" className="button main">
          Launch
        </Link>
      }
    >
      {all === null ? <Waiting /> : all.length === 0 ? <NoNodes /> : <Nodes nodes={all} living={living} />}
    </Page>
  )
}

function NoNodes() {
  return (
    <Panel title="Nodes">
      <Empty title="No nodes are running, so nothing is billed.">
        <Link to="/launch" className="link">
          Launch a model
        </Link>
      </Empty>
    </Panel>
  )
}

interface NodesProps {
  readonly nodes: readonly NodeView[]
  /** Those that are not gone. */
  readonly living: readonly NodeView[]
}

function Nodes({ nodes, living }: NodesProps) {
  const status = useStatus()
  const [filters, setFilters] = useAddressState(noFilters)
  const [chosen, setChosen] = useState<string | null>(null)
  const shown = useMemo(() => narrowed(nodes, filters), [nodes, filters])
  const { by, dir } = filters
  const columns = useMemo(() => {
    const sortBy = (key: string) => setFilters({ by: key, dir: by === key && dir === 'down' ? 'up' : 'down' })
    const sorted = dir === 'up' ? 'ascending' : 'descending'
    return nodeColumns({ by, sorted }, sortBy, ({ id }) => setChosen(id))
  }, [by, dir, setFilters])
  const choosePlace = useCallback((place: string) => setFilters({ place }), [setFilters])
  const node = chosen === null ? undefined : nodes.find(({ id }) => id === chosen)
  return (
    <>
      <FleetTrouble nodes={living} />
      {status && <Figures of={status} />}
      <div className="stack">
        <Panel
          title="By place"
          sub="a disc is well, an arc is on its way, a ring leaves, a diamond or a square needs a look"
        >
          <FleetMap nodes={living} chosen={filters.place} onChoose={choosePlace} />
        </Panel>
        <Panel
          title="Nodes"
          sub={shown.length === nodes.length ? null : `${count(shown.length)} of ${count(nodes.length)}`}
          flush
        >
          <FleetFilterBar nodes={nodes} filters={filters} onChange={setFilters} />
          <Table
            label="Nodes"
            rows={shown}
            rowKey={({ id }) => id}
            rowLink={({ id }) => `/nodes/${id}`}
            columns={columns}
            empty={<Empty title="No node is like that." />}
          />
        </Panel>
      </div>
      {node && <NodeDialog node={node} onClose={() => setChosen(null)} />}
    </>
  )
}

function Figures({ of: { fleet, burnPerHourMicroUsd } }: { readonly of: StatusView }) {
  return (
    <Facts
      of={[
        ['Ready', count(fleet.ready)],
        ['Starting', count(fleet.starting)],
        [
          'Needs a look',
          <span key="wrong" className={fleet.wrong > 0 ? 'warn' : undefined}>
            {count(fleet.wrong)}
          </span>,
        ],
        ['Leaving', count(fleet.leaving)],
        ['Requests in flight', count(fleet.inFlight)],
        ['Costs now', <Money key="burn" microUsd={burnPerHourMicroUsd} perHour />],
      ]}
    />
  )
}
