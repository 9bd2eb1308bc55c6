import { useParams } from '@tanstack/react-router'
import { useRead } from '../api/reading.ts'
import { StateMark } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Facts, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { markOfNode } from '../words/states.ts'

export function NodePage() {
  const { id } = useParams({ strict: false }) as { id: string }
  const node = useRead('showNode', { params: { id } })
  return (
    <Page title={node.data?.name ?? 'Node'} sub={node.data?.model}>
      <Loaded of={node}>
        {(of) => (
          <>
            <Facts
              of={[
                [
                  'State',
                  <StateMark key="s" shape={markOfNode(of).shape}>
                    {markOfNode(of).word}
                  </StateMark>,
                ],
                ['Billed', of.billed],
                ['Cost so far', <Money key="c" microUsd={of.costMicroUsd} />],
              ]}
            />
            <Panel title="What happened" flush>
              <Table
                label="What happened"
                rows={of.timeline}
                rowKey={(event) => String(event.id)}
                columns={[
                  { key: 'text', title: 'Event', cell: ({ text }) => text, width: '4fr' },
                  { key: 'age', title: 'Ago', cell: ({ at }) => <Age at={at} />, end: true },
                ]}
              />
            </Panel>
          </>
        )}
      </Loaded>
    </Page>
  )
}
