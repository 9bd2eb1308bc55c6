import { Link } from '@tanstack/react-router'
import { useRead } from '../api/reading.ts'
import { launchColumns } from '../launches/launch-columns.tsx'
import { everyLaunch, LaunchFilters } from '../launches/launch-filters.tsx'
import { useAddressState } from '../parts/address-state.ts'
import { Loaded, Page } from '../parts/page.tsx'
import { Pager } from '../parts/pager.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'

const perPage = 100

export function LaunchesPage() {
  const [wish, setWish] = useAddressState(everyLaunch)
  const asked = Object.fromEntries(Object.entries(wish).filter(([, value]) => value !== ''))
  const launches = useRead('listLaunches', { query: { limit: perPage, ...asked } })
  const filters = <LaunchFilters wish={wish} onNarrow={(patch) => setWish({ ...patch, cursor: '' })} />
  const next = launches.data?.nextCursor ?? null
  const onGo = (cursor: string) => setWish({ cursor }, { replace: false })
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
            {filters}
            <Pager cursor={wish.cursor} nextCursor={next} onGo={onGo} />
          </>
        }
        flush
      >
        <Loaded of={launches}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title={Object.keys(asked).length > 0 ? 'No launch is like that.' : 'Nothing was launched yet.'} />
            ) : (
              <Table
                label="Launches"
                rows={items}
                rowKey={({ id }) => id}
                rowLink={({ id }) => `/launches/${id}`}
                columns={launchColumns}
              />
            )
          }
        </Loaded>
      </Panel>
    </Page>
  )
}
