import { useRead } from '../api/reading.ts'
import { StateMark } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { markOfDeployment } from '../words/states.ts'

export function DeploymentsPage() {
  const deployments = useRead('listDeployments')
  return (
    <Page title="Deployments">
      <Panel title="All" flush>
        <Loaded of={deployments}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="There are no deployments yet: the first launch makes one." />
            ) : (
              <Table
                label="Deployments"
                rows={items}
                rowKey={({ id }) => id}
                rowLink={({ id }) => `/deployments/${id}`}
                columns={[
                  { key: 'name', title: 'Deployment', cell: ({ name }) => name },
                  {
                    key: 'state',
                    title: 'State',
                    cell: (one) => (
                      <StateMark shape={markOfDeployment(one).shape}>{markOfDeployment(one).word}</StateMark>
                    ),
                  },
                  { key: 'model', title: 'Model', cell: ({ model }) => model, width: '2fr', low: true },
                  { key: 'ready', title: 'Ready', cell: ({ ready, wanted }) => `${ready} of ${wanted}`, end: true },
                  { key: 'spent', title: 'Spent', cell: (one) => <Money microUsd={one.spentMicroUsd} />, end: true },
                ]}
              />
            )
          }
        </Loaded>
      </Panel>
    </Page>
  )
}
