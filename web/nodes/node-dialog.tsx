import { type ReactNode, useState } from 'react'
import type { NodeDetail, NodeView } from '../../src/wire/views.ts'
import { useAct } from '../api/acting.ts'
import { useNode } from '../live/fed.ts'
import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Choice } from '../parts/field.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded } from '../parts/page.tsx'
import { Problem } from '../parts/problem.tsx'
import { Left } from '../parts/time.tsx'
import { counted } from '../words/counts.ts'
import { usd } from '../words/money.ts'
import look from './node-dialog.module.css'

type Action = NodeView['actions'][number]
type HoldChoice = NodeDetail['holdChoices'][number]

const timeWords = (forS: number): string =>
  forS % 3_600 === 0 ? counted(forS / 3_600, 'hour') : counted(Math.round(forS / 60), 'minute')

export interface NodeDialogProps {
  readonly node: NodeView
  readonly onClose: () => void
}

/** Does what was chosen; what is not possible any more is refused by the server, in its words. */
function useWays(nodeId: string, chosen: Action | null, held: HoldChoice | undefined) {
  const drain = useAct('drainNode')
  const release = useAct('releaseNode')
  const hold = useAct('holdNode')
  const { isRunning, failure } = { drain, release, hold }[chosen ?? 'drain']
  const call = { params: { id: nodeId } }
  const runs: Readonly<Record<Action, () => Promise<unknown>>> = {
    drain: () => drain.run({ ...call, body: {} }),
    release: () => release.run(call),
    hold: () => hold.run({ ...call, body: { forS: held?.forS ?? null } }),
  }
  return { isRunning, failure, run: async () => chosen !== null && (await runs[chosen]()) !== undefined }
}

/** What may be done with a node, what comes of it, and what it costs; then it is done. */
export function NodeDialog({ node, onClose }: NodeDialogProps) {
  const [chosen, setChosen] = useState<Action | null>(node.actions[0] ?? null)
  const [holdS, setHoldS] = useState<number | null>(null)
  const detail = useNode(node.id)
  const held = holdOf(detail.data?.holdChoices ?? [], holdS)
  const act = useWays(node.id, chosen, held)
  const done = async () => (await act.run()) && onClose()
  const verbs: Readonly<Record<Action, string>> = {
    drain: 'Drain it',
    release: 'Release it now',
    hold: held ? `Hold it for up to ${usd(held.costMicroUsd)}` : 'Let it go',
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
            <Button
              type="submit"
              look="main"
              act={`${chosen}Node`}
              danger={chosen === 'release'}
              busy={act.isRunning}
              blocked={chosen === 'hold' && !detail.data ? 'what it costs is not read yet' : null}
            >
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
      {chosen === 'hold' && (
        <Loaded of={detail}>
          {({ holdChoices }) => <HoldFor choices={holdChoices} held={held} onChange={setHoldS} />}
        </Loaded>
      )}
      <Problem of={act.failure} />
    </Dialog>
  )
}

/** What was chosen; before anything was, an hour, or the longest that there is. 0: no longer. */
function holdOf(choices: readonly HoldChoice[], chosenS: number | null): HoldChoice | undefined {
  const wanted = choices.find(({ forS }) => forS === (chosenS ?? 3_600))
  return wanted ?? (chosenS === null ? choices.at(-1) : undefined)
}

interface HoldForProps {
  readonly choices: readonly HoldChoice[]
  readonly held: HoldChoice | undefined
  readonly onChange: (forS: number) => void
}

function HoldFor({ choices, held, onChange }: HoldForProps) {
  const times = choices.map(({ forS }) => ({ value: String(forS), text: timeWords(forS) }))
  return (
    <Choice
      label="Keep it for"
      value={String(held?.forS ?? 0)}
      options={[...times, { value: '0', text: 'no longer: let it go' }]}
      onChange={(value) => onChange(Number(value))}
    />
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
