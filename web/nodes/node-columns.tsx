import type { NodeView } from '../../src/wire/views.ts'
import { Button } from '../parts/button.tsx'
import { MarkedState, Tag } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import type { Column } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { billedWords } from '../words/money.ts'
import { markedSince, markOfNode, plain } from '../words/states.ts'
import { gpuMemoryUse, gpuUse } from './fleet-order.ts'
import { inFlightOf } from './in-flight.ts'
import look from './node-columns.module.css'
import { Signals } from './signals.tsx'

export interface Sorting {
  readonly by: string
  readonly sorted: 'ascending' | 'descending'
}

export function nodeColumns(
  { by, sorted }: Sorting,
  sortBy: (key: string) => void,
  onAct: (node: NodeView) => void,
): Column<NodeView>[] {
  const sortable = (key: string) => ({ key, onSort: () => sortBy(key), ...(by === key ? { sorted } : {}) })
  return [
    {
      ...sortable('name'),
      title: 'Node',
      cell: ({ name }) => <span className={look['name']}>{name}</span>,
      width: '178px',
    },
    { ...sortable('trouble'), title: 'State', cell: (node) => <State of={node} />, width: '1.9fr', wide: true },
    {
      key: 'signals',
      title: 'Signals',
      cell: ({ signals, state }) => (state === 'gone' ? '–' : <Signals of={signals} />),
      width: '176px',
      wide: true,
    },
    { ...sortable('model'), title: 'Model', cell: (node) => <Serves of={node} />, width: '1.3fr' },
    { ...sortable('place'), title: 'Place', cell: (node) => <Where of={node} />, width: '1.2fr' },
    {
      ...sortable('load'),
      title: 'In flight',
      cell: inFlightOf,
      width: '86px',
      end: true,
    },
    { ...sortable('gpu'), title: 'GPU use', cell: (node) => <GpuUse of={node} />, width: '90px', end: true },
    { ...sortable('price'), title: 'Per hour', cell: (node) => <Price of={node} />, width: '112px', end: true },
    {
      key: 'acts',
      title: '',
      cell: (node) =>
        node.actions.length > 0 && (
          <Button look="quiet" onPress={() => onAct(node)} label={`Act … on ${node.name}: drain, release or hold`}>
            Act …
          </Button>
        ),
      width: '68px',
      end: true,
    },
  ]
}

function State({ of }: { readonly of: NodeView }) {
  return (
    <>
      <MarkedState of={markOfNode(of)} />{' '}
      <span className="soft">
        <Age at={markedSince(of)} /> · {plain(of.statusMessage)}
      </span>
    </>
  )
}

function Serves({ of: { model, deployment } }: { readonly of: NodeView }) {
  return (
    <>
      {model} {deployment !== model && <span className="soft">{deployment}</span>}
    </>
  )
}

function Where({ of: { offer, spot } }: { readonly of: NodeView }) {
  return (
    <>
      {offer.cloud} {offer.region} {offer.gpu && <span className="soft">{`${offer.gpuCount}× ${offer.gpu}`}</span>}{' '}
      {spot && <Tag>spot</Tag>}
    </>
  )
}

function GpuUse({ of }: { readonly of: NodeView }) {
  const [use, memory] = [gpuUse(of), gpuMemoryUse(of)]
  if (use === null && memory === null) return '–'
  return (
    <>
      {use === null ? '–' : `${Math.round(use)} %`}
      {memory !== null && <span className="soft"> · {Math.round(memory)} % mem</span>}
    </>
  )
}

/** Where money runs and nothing is served, that is said. */
function Price({ of: { offer, billed, state } }: { readonly of: NodeView }) {
  return (
    <span className={billed !== 'no' && state !== 'ready' ? 'money' : undefined}>
      <Money microUsd={offer.pricePerHourMicroUsd} /> <span className="soft">{billedWords[billed]}</span>
    </span>
  )
}
