import { Link } from '@tanstack/react-router'
import { isOver, launchStates } from '../../src/core/launch-table.ts'
import type { DeploymentView, LaunchView, NodeView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { useFleet } from '../live/fleet.ts'
import { inFlightOf } from '../nodes/in-flight.ts'
import { MarkedState } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { type Column, Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { placeOf } from '../words/offers.ts'
import { markOfLaunch, markOfNode, progressWords } from '../words/states.ts'

// As many as one answer holds.
const most = 500
const notOver = launchStates.filter((state) => !isOver(state)).join(',')

interface Row {
  readonly launch: LaunchView
  readonly node: NodeView | undefined
}

/** What fills each slot, and what is still on its way out of one. */
export function Slots({ of }: { readonly of: DeploymentView }) {
  const launches = useRead('listLaunches', { query: { deployment: of.id, state: notOver, limit: most } })
  const fleet = useFleet()
  const nodes = new Map(fleet?.map((node) => [node.id, node]))
  return (
    <Panel
      title="Slots"
      sub={launches.data?.nextCursor && `the newest ${most} launches of it`}
      actions={
        <Link to="/launches" search={{ deployment: of.name } as never} className="link">
          All its launches
        </Link>
      }
      flush
    >
      <Loaded of={launches}>
        {({ items }) => (
          <Table
            label="Slots"
            rows={[...items]
              .sort((a, b) => a.slot - b.slot || (a.createdAt < b.createdAt ? 1 : -1))
              .map((launch): Row => ({ launch, node: launch.nodeId ? nodes.get(launch.nodeId) : undefined }))}
            rowKey={({ launch }) => launch.id}
            rowLink={({ launch }) => `/launches/${launch.id}`}
            columns={columns}
            empty={<Empty title="Nothing fills a slot, so nothing of it is billed." />}
          />
        )}
      </Loaded>
    </Panel>
  )
}

const columns: readonly Column<Row>[] = [
  { key: 'slot', title: 'Slot', cell: ({ launch }) => `Slot ${launch.slot}`, width: '80px' },
  { key: 'launch', title: 'Launch', cell: ({ launch }) => <LaunchState of={launch} />, width: '1.4fr' },
  { key: 'node', title: 'Node', cell: ({ node }) => node && <NodeLink of={node} />, width: '1.6fr', wide: true },
  { key: 'place', title: 'Place', cell: ({ node }) => node && placeOf(node.offer), low: true },
  {
    key: 'flight',
    title: 'In flight',
    cell: ({ node }) => (node ? inFlightOf(node) : '–'),
    width: '86px',
    end: true,
  },
  {
    key: 'price',
    title: 'Per hour',
    cell: ({ node }) => node && <Money microUsd={node.offer.pricePerHourMicroUsd} />,
    width: '100px',
    end: true,
  },
  { key: 'since', title: 'Since', cell: ({ launch }) => <Age at={launch.stateSince} />, width: '90px', end: true },
]

function LaunchState({ of }: { readonly of: LaunchView }) {
  return (
    <>
      <MarkedState of={markOfLaunch(of.state)} />{' '}
      {of.state === 'attempting' && <span className="soft">{progressWords(of)}</span>}
    </>
  )
}

function NodeLink({ of }: { readonly of: NodeView }) {
  return (
    <>
      <Link to="/nodes/$id" params={{ id: of.id }} className="link">
        {of.name}
      </Link>{' '}
      <MarkedState of={markOfNode(of)} />
    </>
  )
}
