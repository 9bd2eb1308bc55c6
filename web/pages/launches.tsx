import { Link } from '@tanstack/react-router'
import { useRead } from '../api/reading.ts'
import { launchColumns } from '../launches/launch-columns.tsx'
import { everyLaunch, LaunchFilters } from '../launches/launch-filters.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Pager } from '../parts/pager.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { useLeafing } from '../parts/use-leafing.ts'

export function LaunchesPage() {
  const { wish, query, isNarrowed, narrow, go } = useLeafing(everyLaunch)
  const launches = useRead('listLaunches', { query })
  return (
    <Page
      title="Launches"
      actions={
        <Link to="/launch" className="button main">
          Launch
        </Link>
      }
    >
      <Panel
        title="Newest first"
        actions={
          <>
            <LaunchFilters wish={wish} onNarrow={narrow} />
            <Pager cursor={wish.cursor} nextCursor={launches.data?.nextCursor ?? null} onGo={go} />
          </>
        }
        flush
      >
        <Loaded of={launches}>
          {({ items }) => (
            <Table
              label="Launches"
              rows={items}
              rowKey={({ id }) => id}
              rowLink={({ id }) => `/launches/${id}`}
              columns={launchColumns}
              empty={<Empty title={isNarrowed ? 'No launch is like that.' : 'Nothing was launched yet.'} />}
            />
          )}
        </Loaded>
      </Panel>
    </Page>
  )
}
