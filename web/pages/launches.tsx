import { Link } from '@tanstack/react-router'
import { useRead } from '../api/reading.ts'
import { StateMark } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { markOfLaunch } from '../words/states.ts'

export function LaunchesPage() {
  const launches = useRead('listLaunches', { query: { limit: 200 } })
  return (
    <Page
      title="Launches"
      actions={
        <Link to="/launch" className="button main">
          Launch
        </Link>
      }
    >
      <Panel title="Newest first" flush>
        <Loaded of={launches}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="Nothing was launched yet." />
            ) : (
              <Table
                label="Launches"
                rows={items}
                rowKey={({ id }) => id}
                rowLink={({ id }) => `/launches/${id}`}
                columns={[
                  { key: 'model', title: 'Model', cell: ({ model }) => model, width: '2fr' },
                  {
                    key: 'state',
                    title: 'State',
                    cell: ({ state }) => (
                      <StateMark shape={markOfLaunch(state).shape}>{markOfLaunch(state).word}</StateMark>
                    ),
                  },
                  { key: 'deployment', title: 'Deployment', cell: ({ deployment }) => deployment },
                  { key: 'by', title: 'By', cell: ({ requestedBy }) => requestedBy, low: true },
                  {
                    key: 'age',
                    title: 'Age',
                    cell: ({ createdAt }) => <Age at={createdAt} />,
                    width: '90px',
                    end: true,
                  },
                  {
                    key: 'cost',
                    title: 'Cost',
                    cell: (launch) => <Money microUsd={launch.costMicroUsd} />,
                    width: '110px',
                    end: true,
                  },
                ]}
              />
            )
          }
        </Loaded>
      </Panel>
    </Page>
  )
}
