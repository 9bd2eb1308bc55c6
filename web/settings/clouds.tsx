import type { CloudOffersView, StatusView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { StateMark } from '../parts/mark.tsx'
import { Loaded } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { type Column, Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { plain } from '../words/states.ts'

/** Each cloud: whether it says what it offers and which machines run, and whether its credentials work. */
export function Clouds({ silent }: { readonly silent: StatusView['silentClouds'] }) {
  const offers = useRead('listOffers')
  return (
    <Panel title="Clouds" flush>
      <Loaded of={offers}>
        {({ clouds }) => (
          <Table
            label="Clouds"
            rows={clouds}
            rowKey={({ cloud }) => cloud}
            columns={columns}
            empty={<Empty title="No cloud is configured." />}
          />
        )}
      </Loaded>
      {silent.map(({ name, lookedAt, problem }) => (
        <div className="body" key={name}>
          <StateMark shape="bad">{name} does not say which machines run</StateMark>, for{' '}
          <Age at={lookedAt} never="ever" />: {problem}
        </div>
      ))}
    </Panel>
  )
}

const columns: readonly Column<CloudOffersView>[] = [
  { key: 'cloud', title: 'Cloud', cell: ({ cloud }) => cloud },
  {
    key: 'state',
    title: 'Offers',
    cell: ({ failure, stale }) => (
      <>
        <StateMark shape={failure ? 'bad' : stale ? 'doubtful' : 'good'}>
          {failure ? 'not told' : stale ? 'old' : 'told'}
        </StateMark>{' '}
        {failure && (
          <>
            {failure.cause} <span className="soft">{failure.remedy}</span>
          </>
        )}
      </>
    ),
    width: '3fr',
    wide: true,
  },
  { key: 'credentials', title: 'Credentials', cell: ({ credentials }) => plain(credentials) },
  { key: 'read', title: 'Read', cell: ({ readAt }) => <Age at={readAt} />, width: '90px', end: true },
]
