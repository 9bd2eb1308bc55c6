import { Link } from '@tanstack/react-router'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { Button } from '../parts/button.tsx'
import { type Marked, MarkedState } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Elapsed } from '../parts/time.tsx'
import { boughtAs, machineOf, placeOf } from '../words/offers.ts'
import { longestEvidence, plainText } from '../words/plain-text.ts'
import { markOfNode, plain } from '../words/states.ts'
import look from './launch.module.css'

type Attempt = LaunchDetail['attempts'][number]
type Offer = LaunchDetail['offers'][number]

export interface AttemptsProps {
  readonly launch: LaunchDetail
  readonly chosen: Attempt | undefined
  readonly onChoose: (attempt: Attempt) => void
}

/** Each try at one offer: where, for how much, how it ended and what to do; then the offers in the order of their rank. */
export function Attempts({ launch, chosen, onChoose }: AttemptsProps) {
  const { attempts, offers } = launch
  const tried = new Set(attempts.map(({ offer }) => offer.id))
  const untried = offers.filter(({ id }) => !tried.has(id))
  return (
    <Panel title="Attempts" sub={attempts.length > 0 ? `${attempts.length} so far` : 'none yet'} flush>
      {attempts.length === 0 && offers.length === 0 && <Empty title="No offer fits any more." />}
      <ol>
        {attempts.map((attempt) => (
          <OneAttempt
            key={attempt.id}
            attempt={attempt}
            isChosen={attempts.length > 1 && attempt === chosen}
            onChoose={attempts.length > 1 ? onChoose : null}
          />
        ))}
        {untried.map((offer) => (
          <Untried key={offer.id} offer={offer} />
        ))}
      </ol>
    </Panel>
  )
}

interface OneProps {
  readonly attempt: Attempt
  readonly isChosen: boolean
  readonly onChoose: ((attempt: Attempt) => void) | null
}

function OneAttempt({ attempt, isChosen, onChoose }: OneProps) {
  const { ordinal, offer, nodeId, nodeName, openedAt, closedAt, costMicroUsd, failure } = attempt
  return (
    <li className={`${look['attempt']} ${isChosen ? look['chosen'] : ''}`}>
      <span>
        {ordinal}. {placeOf(offer)} <span className="soft">{machineOf(offer)}</span>
      </span>
      <span className={look['figure']}>
        <Money microUsd={costMicroUsd} />
      </span>
      <span className="soft">
        {boughtAs(offer)} · <Money microUsd={offer.pricePerHourMicroUsd} perHour /> ·{' '}
        <Elapsed from={openedAt} to={closedAt} />
      </span>
      <span className={look['figure']}>
        <MarkedState of={markOf(attempt)} />
      </span>
      {failure && (
        <div className={look['wide']}>
          <p>{failure.cause}</p>
          <p className="soft">{failure.remedy}</p>
          {failure.evidence && (
            <details>
              <summary className="soft">What was said</summary>
              <pre className="mono soft evidence">{plainText(failure.evidence, longestEvidence)}</pre>
            </details>
          )}
        </div>
      )}
      <span className={`row ${look['wide']}`}>
        <Link to="/nodes/$id" params={{ id: nodeId }} className="link">
          {nodeName}
        </Link>
        {onChoose && !isChosen && (
          <Button look="quiet" onPress={() => onChoose(attempt)}>
            Its phases and log
          </Button>
        )}
      </span>
    </li>
  )
}

function markOf({ outcome, nodeState, failure }: Attempt): Marked {
  if (outcome === 'served') return { shape: 'good', word: 'served' }
  if (outcome === 'failed') return { shape: 'bad', word: plain(failure?.code ?? 'failed') }
  if (outcome === 'withdrawn') return { shape: 'between', word: 'withdrawn' }
  return markOfNode({ state: nodeState, verdict: 'unknown', failure: null })
}

function Untried({ offer }: { readonly offer: Offer }) {
  const { standing } = offer
  return (
    <li className={`${look['attempt']} ${look['later']}`}>
      <span>
        {placeOf(offer)} {machineOf(offer)}
      </span>
      <span className={look['figure']}>not tried</span>
      <span className={look['wide']}>
        {boughtAs(offer)} · <Money microUsd={offer.pricePerHourMicroUsd} perHour />
        {standing && standing.refusals > 0 && ` · refused lately (${plain(standing.refusedFor ?? '')})`}
      </span>
    </li>
  )
}
