import { useRead } from '../api/reading.ts'
import { Loaded, Page } from '../parts/page.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'

export function PeoplePage() {
  const people = useRead('listOperators')
  return (
    <Page title="People" sub="Who may do what">
      <Panel title="People and their roles" flush>
        <Loaded of={people}>
          {({ items }) => (
            <Table
              label="People"
              rows={items}
              rowKey={({ id }) => id}
              columns={[
                { key: 'name', title: 'Name', cell: ({ name }) => name },
                { key: 'role', title: 'Role', cell: ({ role }) => role },
                { key: 'last4', title: 'Token ends with', cell: ({ last4 }) => <code>{last4}</code>, low: true },
                { key: 'age', title: 'Age', cell: ({ createdAt }) => <Age at={createdAt} />, end: true },
                { key: 'state', title: 'State', cell: ({ disabledAt }) => (disabledAt ? 'disabled' : 'good') },
              ]}
            />
          )}
        </Loaded>
      </Panel>
    </Page>
  )
}
