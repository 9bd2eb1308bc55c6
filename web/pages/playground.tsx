import { useRead } from '../api/reading.ts'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'

export function PlaygroundPage() {
  const models = useRead('listModels')
  return (
    <Page title="Playground" sub="What serves now">
      <Panel title="Models that answer" flush>
        <Loaded of={models}>
          {({ items }) => {
            const serving = items.filter(({ readyNodes }) => readyNodes > 0)
            return serving.length === 0 ? (
              <Empty title="No model has a ready node." />
            ) : (
              <Table
                label="Models that answer"
                rows={serving}
                rowKey={({ name }) => name}
                columns={[
                  { key: 'name', title: 'Model', cell: ({ name }) => name },
                  { key: 'ready', title: 'Ready nodes', cell: ({ readyNodes }) => readyNodes, end: true },
                ]}
              />
            )
          }}
        </Loaded>
      </Panel>
    </Page>
  )
}
