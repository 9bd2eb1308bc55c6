import type { NodeDetail } from '../../src/wire/views.ts'
import { Money } from '../parts/money.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { Elapsed } from '../parts/time.tsx'

/** What was paid for it, interval by interval; the price is the one that was agreed when each began. */
export function Ledger({ of: { ledger, costMicroUsd } }: { readonly of: NodeDetail }) {
  return (
    <Panel title="Ledger" sub={<Money microUsd={costMicroUsd} />} flush>
      <Table
        label="Ledger"
        rows={ledger}
        rowKey={({ openedAt, duty }) => `${openedAt}-${duty}`}
        columns={[
          {
            key: 'duty',
            title: 'Paid for',
            cell: ({ duty, closedAt }) => (
              <>
                {duty} {closedAt === null && <span className="soft">running</span>}
              </>
            ),
            width: '1.4fr',
          },
          {
            key: 'time',
            title: 'Time',
            cell: ({ openedAt, closedAt }) => <Elapsed from={openedAt} to={closedAt} />,
            end: true,
          },
          {
            key: 'price',
            title: 'Per hour',
            cell: (line) => <Money microUsd={line.pricePerHourMicroUsd} />,
            end: true,
          },
          { key: 'cost', title: 'Cost', cell: (line) => <Money microUsd={line.costMicroUsd} />, end: true },
        ]}
        empty={<Empty title="Its machine was never seen, so nothing is paid." />}
      />
    </Panel>
  )
}
