import { meaningOf, type SignalValue } from '../../src/core/verdict-table.ts'
import type { NodeDetail } from '../../src/wire/views.ts'
import { MarkedState, type MarkShape, StateMark } from '../parts/mark.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { markOfVerdict } from '../words/states.ts'
import { Lasting, type Signal, type Witness, witnesses } from './signals.tsx'

const shapes: Readonly<Record<SignalValue, MarkShape>> = { good: 'good', bad: 'bad', unknown: 'between' }

/** Who of them watches what. */
const watches: Readonly<Record<Witness['key'], string>> = {
  heartbeat: 'the agent speaks',
  probe: 'the engine answers',
  sighting: 'the cloud sees the machine',
}

/** What the three witnesses say, and what follows from it by which row of the table. */
export function Verdict({ of }: { readonly of: NodeDetail }) {
  const meaning = of.verdictRow && meaningOf(of.verdictRow)
  return (
    <Panel
      title="Verdict"
      sub={
        <>
          <MarkedState of={markOfVerdict(of.verdict)} />
          {of.verdictSince && (
            <>
              {' '}
              for <Age at={of.verdictSince} />
            </>
          )}
        </>
      }
      flush
    >
      <Table
        label="What the witnesses say"
        rows={witnesses}
        rowKey={({ key }) => key}
        columns={[
          {
            key: 'who',
            title: 'Witness',
            cell: ({ key, name }) => (
              <>
                {name} <span className="soft">{watches[key]}</span>
              </>
            ),
            width: '1fr',
          },
          {
            key: 'says',
            title: 'Says',
            cell: ({ key }) => <Says of={of.signals[key]} />,
            width: '1.3fr',
            wide: true,
          },
          {
            key: 'ago',
            title: 'Last word',
            cell: ({ key }) => <Age at={of.signals[key].at} />,
            width: '80px',
            end: true,
          },
        ]}
      />
      {meaning && <p className="soft footnote">{meaning}</p>}
    </Panel>
  )
}

function Says({ of }: { readonly of: Signal }) {
  return (
    <>
      <StateMark shape={shapes[of.value]}>
        <Lasting of={of} />
      </StateMark>{' '}
      {of.detail && <span className="soft">{of.detail}</span>}
    </>
  )
}
