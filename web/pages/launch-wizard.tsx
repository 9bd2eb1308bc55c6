import { Link } from '@tanstack/react-router'
import { useRead } from '../api/reading.ts'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'

export function LaunchWizardPage() {
  const models = useRead('listModels')
  return (
    <Page title="Launch" sub="What can be launched">
      <Panel title="Models" flush>
        <Loaded of={models}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No models are configured.">
                <Link to="/settings" className="link">
                  See how this install is set up
                </Link>
              </Empty>
            ) : (
              <Table
                label="Models"
                rows={items}
                rowKey={({ name }) => name}
                columns={[
                  { key: 'name', title: 'Model', cell: ({ name }) => name, width: '1.5fr' },
                  { key: 'engine', title: 'Engine', cell: ({ engine }) => engine, width: '100px' },
                  { key: 'source', title: 'Source', cell: ({ source }) => source, width: '2fr', low: true },
                  {
                    key: 'ready',
                    title: 'Ready nodes',
                    cell: ({ readyNodes }) => readyNodes,
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
