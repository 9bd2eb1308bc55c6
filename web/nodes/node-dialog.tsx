import { type ReactNode, useState } from 'react'
import { costMicroUsd } from '../../src/core/money.ts'
import type { NodeView } from '../../src/wire/views.ts'
import { useAct } from '../api/acting.ts'
import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Choice } from '../parts/field.tsx'
import { Money } from '../parts/money.tsx'
import { Problem } from '../parts/problem.tsx'
import { Left } from '../parts/time.tsx'
import { usd } from '../words/money.ts'
import look from './node-dialog.module.css'

type Action = NodeView['actions'][number]

const holds = [
  { value: '1800', text: '30 minutes' },
  { value: '3600', text: '1 hour' },
  { value: '14400', text: '4 hours' },
  { value: '0', text: 'no longer: let it go' },
] as const
type HoldS = (typeof holds)[number]['value']

export interface NodeDialogProps {
  readonly node: NodeView
  readonly onClose: () => void
}

/** Does what was chosen; what is not possible any more is refused by the server, in its words. */
function useWays(nodeId: string, chosen: Action | null, holdS: HoldS) {
  const drain = useAct('drainNode')
  const release = useAct('releaseNode')
  const hold = useAct('holdNode')
  const { isRunning, failure } = { drain, release, hold }[chosen ?? 'drain']
  const call = { params: { id: nodeId } }
  const runs: Readonly<Record<Action, () => Promise<unknown>>> = {
    drain: () => drain.run({ ...call, body: {} }),
    release: () => release.run(call),
    hold: () => hold.run({ ...call, body: { forS: holdS === '0' ? null : Number(holdS) } }),
  }
  return { isRunning, failure, run: async () => chosen !== null && (await runs[chosen]()) !== undefined }
}

/** What may be done with a node, what comes of it, and what it costs; then it is done. */
export function NodeDialog({ node, onClose }: NodeDialogProps) {
  const [chosen, setChosen] = useState<Action | null>(node.actions[0] ?? null)
  const [holdS, setHoldS] = useState<HoldS>('3600')
  const act = useWays(node.id, chosen, holdS)
  const done = async () => (await act.run()) && onClose()
  const holdCost = costMicroUsd(node.offer.pricePerHourMicroUsd, Number(holdS) * 1_000)
  const verbs: Readonly<Record<Action, string>> = {
    drain: 'Drain it',
    release: 'Release it now',
    hold: holdS === '0' ? 'Let it go' : `Hold it for up to ${usd(holdCost)}`,
  }
  return (
    <Dialog
      title={node.name}
      onClose={onClose}
      onSubmit={() => void done()}
      actions={
        <>
          <Button onPress={onClose}>Leave it as it is</Button>
          {chosen && (
            <Button type="submit" look="main" act={`${chosen}Node`} danger={chosen === 'release'} busy={act.isRunning}>
              {verbs[chosen]}
            </Button>
          )}
        </>
      }
    >
      {node.actions.length === 0 && <p>Nothing can be done with it any more: {node.statusMessage}.</p>}
      <div className={look['ways']} role="radiogroup" aria-label="What to do">
        {node.actions.map((action) => (
          <label key={action} className={look['way']}>
            <input type="radio" name="way" checked={chosen === action} onChange={() => setChosen(action)} />
            <span>
              <strong>{titles[action]}</strong>
              <span className="soft">{consequence(action, node)}</span>
            </span>
          </label>
        ))}
      </div>
      {chosen === 'hold' && <Choice label="Keep it for" value={holdS} options={holds} onChange={setHoldS} />}
      <Problem of={act.failure} />
    </Dialog>
  )
}

const titles: Readonly<Record<Action, string>> = { drain: 'Drain', release: 'Release', hold: 'Hold' }

function consequence(action: Action, { inFlight, offer, deployment, hold, billed }: NodeView): ReactNode {
  const price = <Money microUsd={offer.pricePerHourMicroUsd} perHour />
  if (action === 'drain')
    return (
      <>
        No new requests; {inFlight === 0 ? 'none is in flight' : `the ${inFlight} in flight end`}. Then the machine is
        given back, and another one takes its place if {deployment} still wants it. {price} is paid until its cloud says
        that it is gone.
      </>
    )
  if (action === 'release')
    return (
      <>
        The machine is given back now{inFlight > 0 && `, which cuts off ${inFlight} in flight`}, and {deployment} wants
        one replica less.{' '}
        {billed === 'no' ? 'Nothing was paid for it.' : <>It saves {price} once its cloud says that it is gone.</>}
      </>
    )
  return (
    <>
      Should it fail, drain or run out of time, it is kept for you to look at, without requests, and another one is
      asked for beside it. {price} goes on as long.
      {hold && (
        <>
          {' '}
          Held for <Left until={hold.until} /> more{hold.by && ` by ${hold.by}`}.
        </>
      )}
    </>
  )
}
