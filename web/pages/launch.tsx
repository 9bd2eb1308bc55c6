import { useParams } from '@tanstack/react-router'
import { useLaunch } from '../live/fed.ts'
import { StateMark } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Facts, Panel } from '../parts/panel.tsx'
import { Failed } from '../parts/problem.tsx'
import { Table } from '../parts/table.tsx'
import { Elapsed } from '../parts/time.tsx'
import { markOfLaunch, plain } from '../words/states.ts'

export function LaunchPage() {
  const { id } = useParams({ strict: false }) as { id: string }
  const launch = useLaunch(id)
  return (
    <Page title={launch.data ? `Launch of ${launch.data.model}` : 'Launch'} sub={id}>
      <Loaded of={launch}>
        {(of) => (
          <>
            <Facts
              of={[
                [
                  'State',
                  <StateMark key="s" shape={markOfLaunch(of.state).shape}>
                    {markOfLaunch(of.state).word}
                  </StateMark>,
                ],
                ['Progress', `${of.percent} %`],
                ['Elapsed', <Elapsed key="e" from={of.createdAt} to={of.endedAt} />],
                ['Cost so far', <Money key="c" microUsd={of.costMicroUsd} />],
              ]}
            />
            {of.failure && <Failed failure={of.failure} />}
            <Panel title="Phases" flush>
              <Table
                label="Phases"
                rows={of.phases}
                rowKey={({ attemptId, phase, startedAt }) => `${attemptId}-${phase}-${startedAt}`}
                columns={[
                  { key: 'phase', title: 'Phase', cell: ({ phase }) => plain(phase) },
                  {
                    key: 'time',
                    title: 'Time',
                    cell: ({ startedAt, endedAt }) => <Elapsed from={startedAt} to={endedAt} />,
                    end: true,
                  },
                ]}
              />
            </Panel>
          </>
        )}
      </Loaded>
    </Page>
  )
}
