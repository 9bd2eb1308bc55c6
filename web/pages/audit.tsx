import { useRead } from '../api/reading.ts'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'

export function AuditPage() {
  const audit = useRead('audit', { query: { limit: 200 } })
  return (
    <Page title="Audit" sub="Who changed what">
      <Panel title="Newest first" flush>
        <Loaded of={audit}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="Nothing was changed yet." />
            ) : (
              <Table
                label="Audit"
                rows={items}
                rowKey={({ id }) => String(id)}
                columns={[
                  { key: 'ago', title: 'Ago', cell: ({ at }) => <Age at={at} />, width: '90px' },
                  { key: 'who', title: 'Who', cell: ({ who }) => who },
                  { key: 'did', title: 'Did', cell: ({ action }) => action },
                  { key: 'to', title: 'To', cell: ({ target }) => target, width: '1.5fr' },
                ]}
              />
            )
          }
        </Loaded>
      </Panel>
    </Page>
  )
}
