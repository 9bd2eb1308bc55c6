import { Link } from '@tanstack/react-router'
import type { DeploymentView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { Replicas } from '../deployments/replicas.tsx'
import { MarkedState } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { type Column, Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { markOfDeployment } from '../words/states.ts'

export function DeploymentsPage() {
  const deployments = useRead('listDeployments')
  return (
    <Page
      title="Deployments"
      sub="How many replicas of each model are kept"
      actions={
        <Link to="/launch" className="button main">
          Launch
        </Link>
      }
    >
      <Panel title="All" flush>
        <Loaded of={deployments}>
          {({ items }) => (
            <Table
              label="Deployments"
              rows={items}
              rowKey={({ id }) => id}
              rowLink={({ id }) => `/deployments/${id}`}
              columns={columns}
              empty={
                <Empty title="There are no deployments yet: the first launch makes one.">
                  <Link to="/launch" className="link">
                    Launch a model
                  </Link>
                </Empty>
              }
            />
          )}
        </Loaded>
      </Panel>
    </Page>
  )
}

const columns: readonly Column<DeploymentView>[] = [
  { key: 'name', title: 'Deployment', cell: ({ name }) => name, width: '1.4fr' },
  { key: 'state', title: 'State', cell: (one) => <MarkedState of={markOfDeployment(one)} /> },
  { key: 'model', title: 'Model', cell: ({ model }) => model, width: '1.6fr' },
  { key: 'replicas', title: 'Replicas', cell: (one) => <Replicas of={one} />, width: '1.4fr', wide: true },
  {
    key: 'failures',
    title: 'Failures in a row',
    cell: ({ failuresInARow }) => failuresInARow,
    width: '130px',
    end: true,
    low: true,
  },
  { key: 'age', title: 'Age', cell: ({ createdAt }) => <Age at={createdAt} />, width: '90px', end: true, low: true },
  { key: 'spent', title: 'Spent', cell: (one) => <Money microUsd={one.spentMicroUsd} />, width: '120px', end: true },
]
