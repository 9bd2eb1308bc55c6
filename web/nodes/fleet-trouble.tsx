import { Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import { meaningOf } from '../../src/core/verdict-table.ts'
import type { NodeView } from '../../src/wire/views.ts'
import { Age } from '../parts/time.tsx'
import { count } from '../words/counts.ts'
import { markedSince, markOfNode } from '../words/states.ts'
import { groupOf } from './fleet-order.ts'
import { Disagreement } from './signals.tsx'

const toldOneByOne = 3

/** The nodes that need a look: which witness says what, since when, and what that means. */
export function FleetTrouble({ nodes }: { readonly nodes: readonly NodeView[] }) {
  const wrong = useMemo(() => nodes.filter((node) => groupOf(node) === 'wrong'), [nodes])
  if (wrong.length === 0) return null
  return (
    <div className="note">
      {wrong.slice(0, toldOneByOne).map((node) => (
        <p key={node.id}>
          <Link to="/nodes/$id" params={{ id: node.id }} className="link">
            {node.name}
          </Link>{' '}
          <Why of={node} />
        </p>
      ))}
      {wrong.length > toldOneByOne && (
        <p>
          <Link to="/fleet" search={{ group: 'wrong' } as never} className="link">
            And {count(wrong.length - toldOneByOne)} more
          </Link>
        </p>
      )}
    </div>
  )
}

function Why({ of }: { readonly of: NodeView }) {
  const { word } = markOfNode(of)
  const meaning = of.verdictRow && meaningOf(of.verdictRow)
  if (of.state !== 'ready')
    return (
      <>
        is <strong>{word}</strong> for <Age at={of.stateSince} />: {of.statusMessage}.
      </>
    )
  return (
    <>
      is <strong>{word}</strong> for <Age at={markedSince(of)} />
      <Disagreement of={of.signals} />. {meaning}
    </>
  )
}
