import { useRead } from '../api/reading.ts'
import { StateMark } from '../parts/mark.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Facts, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'

export function SettingsPage() {
  const status = useRead('status')
  return (
    <Page title="Settings" sub="How this install is doing">
      <Loaded of={status}>
        {({ install, version, paused, database, loops }) => (
          <>
            <Facts
              of={[
                ['Install', install],
                ['Version', version],
                ['Automation', paused ? 'paused' : 'running'],
                ['Database', database.kind],
              ]}
            />
            <Panel title="Loops" flush>
              <Table
                label="Loops"
                rows={loops}
                rowKey={({ loop, server }) => `${loop}-${server}`}
                columns={[
                  { key: 'loop', title: 'Loop', cell: ({ loop }) => loop },
                  {
                    key: 'state',
                    title: 'State',
                    cell: ({ error, late }) => (
                      <StateMark shape={error ? 'bad' : late ? 'doubtful' : 'good'}>
                        {error ?? (late ? 'late' : 'well')}
                      </StateMark>
                    ),
                    width: '2fr',
                  },
                  { key: 'last', title: 'Last pass', cell: ({ lastPassAt }) => <Age at={lastPassAt} />, end: true },
                ]}
              />
            </Panel>
          </>
        )}
      </Loaded>
    </Page>
  )
}
