import { Link } from '@tanstack/react-router'
import type { StatusView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { useNow } from '../clock/ticking.ts'
import { Replicas } from '../deployments/replicas.tsx'
import { FirstVisit } from '../home/first-visit.tsx'
import { type NeedsLook, needsLook } from '../home/needs-look.ts'
import { OnTheWay } from '../launches/on-the-way.tsx'
import { useFleet } from '../live/fleet.ts'
import { useStatus } from '../live/status.ts'
import { groupOf } from '../nodes/fleet-order.ts'
import { FleetTrouble } from '../nodes/fleet-trouble.tsx'
import { StateMark } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded, Page, Waiting } from '../parts/page.tsx'
import { Empty, Facts, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'

export function HomePage() {
  const any = useRead('listLaunches', { query: { limit: 1 } })
  const status = useStatus()
  return (
    <Page
      title="Start"
      actions={
        <Link to="/launch" className="button main">
          Launch
        </Link>
      }
    >
      <Loaded of={any}>
        {({ items }) => (items.length === 0 ? <FirstVisit /> : status === null ? <Waiting /> : <Now status={status} />)}
      </Loaded>
    </Page>
  )
}

function Now({ status }: { readonly status: StatusView }) {
  return (
    <>
      <Figures status={status} />
      <div className="stack">
        <Looks status={status} />
        <OnTheWay />
        <Kept />
      </div>
    </>
  )
}

function Figures({ status: { nodes, burnPerHourMicroUsd } }: { readonly status: StatusView }) {
  return (
    <Facts
      of={[
        ['Nodes ready', nodes.ready ?? 0],
        ['Loading', nodes.loading ?? 0],
        ['Leaving', `${nodes.draining ?? 0} draining, ${nodes.releasing ?? 0} releasing`],
        ['Costs now', <Money key="burn" microUsd={burnPerHourMicroUsd} perHour />],
      ]}
    />
  )
}

function Looks({ status }: { readonly status: StatusView }) {
  const now = useNow()
  const fleet = useFleet()
  const deployments = useRead('listDeployments').data?.items
  const failed = useRead('listLaunches', { query: { state: 'failed,timed_out', limit: 5 } }).data?.items
  const clouds = useRead('listOffers').data?.clouds
  if (!fleet || !deployments || !failed || !clouds) return <Waiting />
  const looks = needsLook({ status, deployments, failed, clouds, now })
  const isWell = looks.length === 0 && fleet.every((node) => groupOf(node) !== 'wrong')
  return (
    <Panel title="What needs a look now" sub={looks.length > 0 ? `${looks.length} besides nodes` : null} flush>
      {isWell ? (
        <Empty title="Nothing does.">
          <StateMark shape="good">every node, deployment, loop, gateway and cloud is well</StateMark>
        </Empty>
      ) : (
        <div className="body">
          <FleetTrouble nodes={fleet} />
          <ul className="stack">
            {looks.map((one) => (
              <Look key={one.key} of={one} />
            ))}
          </ul>
        </div>
      )}
    </Panel>
  )
}

function Look({ of: { shape, subject, text, to } }: { readonly of: NeedsLook }) {
  return (
    <li>
      <StateMark shape={shape}>
        <Link to={to} className="link">
          {subject}
        </Link>
      </StateMark>{' '}
      {text}
    </li>
  )
}

/** The deployments, as far as they are wanted. */
function Kept() {
  const deployments = useRead('listDeployments')
  const wanted = deployments.data?.items.filter((one) => one.wanted > 0 || one.ready > 0) ?? []
  if (wanted.length === 0) return null
  return (
    <Panel title="Deployments" flush>
      <Table
        label="Deployments"
        rows={wanted}
        rowKey={({ id }) => id}
        rowLink={({ id }) => `/deployments/${id}`}
        columns={[
          { key: 'name', title: 'Deployment', cell: ({ name }) => name },
          { key: 'model', title: 'Model', cell: ({ model }) => model, width: '1.6fr', low: true },
          { key: 'replicas', title: 'Replicas', cell: (one) => <Replicas of={one} />, width: '1.4fr' },
          { key: 'spent', title: 'Spent', cell: (one) => <Money microUsd={one.spentMicroUsd} />, end: true },
        ]}
      />
    </Panel>
  )
}
