import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { NodeDetail } from '../../src/wire/views.ts'
import { useNode } from '../live/fed.ts'
import { LogTail } from '../log/log-tail.tsx'
import { Ledger } from '../nodes/ledger.tsx'
import { Machine } from '../nodes/machine.tsx'
import { NodeDialog } from '../nodes/node-dialog.tsx'
import { NodeGraphs } from '../nodes/node-graphs.tsx'
import { Verdict } from '../nodes/verdict.tsx'
import { useIdOfPage } from '../parts/address-state.ts'
import { Button } from '../parts/button.tsx'
import { MarkedState, Tag } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty, Facts, Panel } from '../parts/panel.tsx'
import { Failed } from '../parts/problem.tsx'
import { Table } from '../parts/table.tsx'
import { Age, Clock, Elapsed, Left } from '../parts/time.tsx'
import { billedWords } from '../words/money.ts'
import { markedSince, markOfNode } from '../words/states.ts'
import look from './node.module.css'

export function NodePage() {
  const id = useIdOfPage()
  const node = useNode(id)
  const [acting, setActing] = useState(false)
  const actions = node.data?.actions ?? []
  return (
    <Page
      title={node.data?.name ?? 'Node'}
      sub={node.data && <Belongs of={node.data} />}
      actions={
        actions.length > 0 && (
          <Button onPress={() => setActing(true)}>
            {actions
              .map(upper)
              .join(', ')
              .replace(/, (?=\w+$)/, ' or ')}{' '}
            …
          </Button>
        )
      }
    >
      <Loaded of={node}>{(of) => <Node of={of} />}</Loaded>
      {acting && node.data && <NodeDialog node={node.data} onClose={() => setActing(false)} />}
    </Page>
  )
}

const upper = (word: string, i: number): string => (i === 0 ? word.charAt(0).toUpperCase() + word.slice(1) : word)

function Belongs({ of: { model, deployment, deploymentId, launchId, spot } }: { readonly of: NodeDetail }) {
  return (
    <>
      {model} · deployment{' '}
      <Link to="/deployments/$id" params={{ id: deploymentId }} className="link">
        {deployment}
      </Link>{' '}
      ·{' '}
      <Link to="/launches/$id" params={{ id: launchId }} className="link">
        its launch
      </Link>{' '}
      {spot && <Tag>spot</Tag>}
    </>
  )
}

function Node({ of }: { readonly of: NodeDetail }) {
  return (
    <>
      <Announced of={of} />
      {of.failure && <Failed failure={of.failure} />}
      <Figures of={of} />
      <div className="two">
        <div className="stack">
          <LogTail nodeId={of.id} title="Log of engine and agent" />
          <NodeGraphs id={of.id} />
          <Timeline of={of} />
        </div>
        <div className={`stack ${look['verdictFirst']}`}>
          <Verdict of={of} />
          <Ledger of={of} />
          <Machine of={of} />
        </div>
      </div>
    </>
  )
}

function Figures({ of }: { readonly of: NodeDetail }) {
  return (
    <Facts
      of={[
        [
          'State',
          <span key="state">
            <MarkedState of={markOfNode(of)} />{' '}
            <small>
              for <Age at={markedSince(of)} />
            </small>
          </span>,
        ],
        ['Does', <small key="says">{of.statusMessage}</small>],
        ['Requests in flight', of.inFlight],
        [
          'Costs so far',
          <span key="cost">
            <Money microUsd={of.costMicroUsd} />{' '}
            <small>
              at <Money microUsd={of.offer.pricePerHourMicroUsd} perHour />, {billedWords[of.billed]} now
            </small>
          </span>,
        ],
        ['Age', <Elapsed key="age" from={of.firstSeenAt ?? of.createdAt} to={of.goneAt} />],
      ]}
    />
  )
}

/** What is announced of its end, or holds that off. */
function Announced({ of: { notice, hold, drainUntil } }: { readonly of: NodeDetail }) {
  return (
    <>
      {notice && (
        <div className="note">
          <strong>Its cloud announced: {notice.action}</strong> ({notice.kind}, told by {notice.source}{' '}
          <Age at={notice.toldAt} /> ago).{' '}
          {notice.takenAt && (
            <>
              It is taken in <Left until={notice.takenAt} />.{' '}
            </>
          )}
          {drainUntil && (
            <>
              Requests have <Left until={drainUntil} /> to end.
            </>
          )}
        </div>
      )}
      {hold && (
        <div className="note">
          <strong>{hold.isKept ? 'It is kept to be looked at' : 'It is kept, should it fail or drain'}</strong>, for{' '}
          <Left until={hold.until} /> more{hold.by && ` by ${hold.by}`}: at most <Money microUsd={hold.costMicroUsd} />{' '}
          from now on.
        </div>
      )}
    </>
  )
}

// What happened lately fits beside the log; the rest is asked for.
const shownAtFirst = 12

function Timeline({ of: { timeline } }: { readonly of: NodeDetail }) {
  const [all, setAll] = useState(false)
  const newestFirst = [...timeline].sort((a, b) => b.id - a.id)
  const more = newestFirst.length - shownAtFirst
  return (
    <Panel
      title="What happened"
      sub="newest first"
      flush
      actions={
        more > 0 && (
          <Button look="quiet" onPress={() => setAll(!all)}>
            {all ? 'Only the last' : `All ${newestFirst.length}`}
          </Button>
        )
      }
    >
      <Table
        label="What happened"
        rows={all ? newestFirst : newestFirst.slice(0, shownAtFirst)}
        rowKey={({ id }) => String(id)}
        columns={[
          { key: 'at', title: 'At', cell: ({ at }) => <Clock at={at} />, width: '86px' },
          { key: 'text', title: 'What', cell: ({ text }) => text, wide: true },
          { key: 'ago', title: 'Ago', cell: ({ at }) => <Age at={at} />, width: '80px', end: true, low: true },
        ]}
        empty={<Empty title="Nothing was noted yet." />}
      />
    </Panel>
  )
}
