import { useFleet } from '../live/fleet.ts'
import { StateMark } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Page, Waiting } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { markOfNode } from '../words/states.ts'

export function FleetPage() {
  const fleet = useFleet()
  return (
    <Page title="Fleet" sub={fleet && `${fleet.nodes.length} nodes`}>
      <Panel title="Nodes" flush>
        {fleet === null ? (
          <Waiting />
        ) : fleet.nodes.length === 0 ? (
          <Empty title="No nodes are running, so nothing is billed." />
        ) : (
          <Table
            label="Nodes"
            rows={fleet.nodes}
            rowKey={({ id }) => id}
            rowLink={({ id }) => `/nodes/${id}`}
            columns={[
              { key: 'name', title: 'Node', cell: ({ name }) => name },
              {
                key: 'state',
                title: 'State',
                cell: (node) => <StateMark shape={markOfNode(node).shape}>{markOfNode(node).word}</StateMark>,
              },
              { key: 'model', title: 'Model', cell: ({ model }) => model },
              { key: 'place', title: 'Place', cell: ({ offer }) => `${offer.cloud} ${offer.region}` },
              {
                key: 'price',
                title: '$ / h',
                cell: ({ offer }) => <Money microUsd={offer.pricePerHourMicroUsd} />,
                width: '90px',
                end: true,
              },
            ]}
          />
        )}
      </Panel>
    </Page>
  )
}
