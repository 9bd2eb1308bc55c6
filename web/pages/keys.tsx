import { useRead } from '../api/reading.ts'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'

export function KeysPage() {
  const keys = useRead('listKeys')
  return (
    <Page title="Keys" sub="For the OpenAI-compatible gateway">
      <Panel title="API keys" flush>
        <Loaded of={keys}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="There are no API keys yet." />
            ) : (
              <Table
                label="API keys"
                rows={items}
                rowKey={({ id }) => id}
                columns={[
                  { key: 'name', title: 'Name', cell: ({ name }) => name },
                  { key: 'last4', title: 'Ends with', cell: ({ last4 }) => <code>{last4}</code> },
                  { key: 'models', title: 'Models', cell: ({ models }) => models?.join(', ') ?? 'all' },
                  { key: 'by', title: 'Made by', cell: ({ createdBy }) => createdBy, low: true },
                  { key: 'age', title: 'Age', cell: ({ createdAt }) => <Age at={createdAt} />, end: true },
                  { key: 'state', title: 'State', cell: ({ revokedAt }) => (revokedAt ? 'revoked' : 'good') },
                ]}
              />
            )
          }
        </Loaded>
      </Panel>
    </Page>
  )
}
