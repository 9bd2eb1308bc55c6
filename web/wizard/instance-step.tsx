import type { UseQueryResult } from '@tanstack/react-query'
import { mayHold } from '../../src/core/fit.ts'
import { hoursPerMonth } from '../../src/core/money.ts'
import type { PlanView } from '../../src/wire/plan.ts'
import { Money } from '../parts/money.tsx'
import { Loaded } from '../parts/page.tsx'
import { Empty, Facts, Panel } from '../parts/panel.tsx'
import { Failed } from '../parts/problem.tsx'
import { Age } from '../parts/time.tsx'
import { count } from '../words/counts.ts'
import { OfferTable } from './offer-table.tsx'
import { isChosenByDeployment } from './plan.ts'
import type { Drafting } from './use-draft.ts'
import look from './wizard.module.css'

interface InstanceStepProps {
  readonly drafting: Drafting
  readonly plan: UseQueryResult<PlanView>
}

/** Where it would run, and what each place costs. */
export function InstanceStep({ drafting, plan }: InstanceStepProps) {
  return (
    <Loaded of={plan}>
      {(of) => (
        <div className={`stack ${look['tight']}`}>
          <PlanTroubles of={of} />
          <Costs plan={of} picked={isChosenByDeployment(of) ? '' : drafting.draft.offer} />
          <Panel title="Offers" sub="In the order in which they are tried" flush>
            {of.offers.length === 0 ? (
              <Empty title="No offer is what you asked for.">
                <p>Go back, and leave out a cloud, a region, a GPU or the limit of the price.</p>
              </Empty>
            ) : (
              <Choice plan={of} drafting={drafting} />
            )}
          </Panel>
        </div>
      )}
    </Loaded>
  )
}

/** Which of them are tried: one that is picked, or each in turn. */
function Choice({ plan, drafting: { draft, change } }: Pick<InstanceStepProps, 'drafting'> & { plan: PlanView }) {
  if (isChosenByDeployment(plan))
    return (
      <>
        <p className={look['choice']}>
          The deployment {plan.deployment} is there, and says where its replicas run: they are launched as it asks.
        </p>
        <OfferTable offers={plan.offers} picked="" onPick={null} />
      </>
    )
  return (
    <>
      <div className={look['choice']}>
        <label className={look['offer']}>
          <input type="radio" name="offer" checked={draft.offer === ''} onChange={() => change({ offer: '' })} />
          <span>
            The first that can be had, then the next{' '}
            <small className="soft">
              those that you named first, then those that are free, then the cheapest as ranked
            </small>
          </span>
        </label>
      </div>
      <OfferTable offers={plan.offers} picked={draft.offer} onPick={(offer) => change({ offer })} />
    </>
  )
}

/** Why it would be refused, and what may be missing among the offers. */
export function PlanTroubles({ of: { refusals, clouds } }: { readonly of: PlanView }) {
  return (
    <>
      {refusals.map((refusal) => (
        <Failed key={refusal.code} failure={refusal} />
      ))}
      <CloudTroubles clouds={clouds} />
    </>
  )
}

/** Clouds that do not say now what they offer: since when, why, and what to do. */
function CloudTroubles({ clouds }: Pick<PlanView, 'clouds'>) {
  return clouds.map(({ cloud, failure, readAt }) =>
    failure ? (
      <div className="note" key={cloud} role="status">
        <p>
          <strong>{cloud}</strong>: {failure.cause} (
          {readAt === null ? (
            'its offers were never read'
          ) : (
            <>
              its offers are from <Age at={readAt} /> ago
            </>
          )}
          )
        </p>
        <p className="soft">{failure.remedy}</p>
      </div>
    ) : null,
  )
}

/** What the chosen offer costs, for all replicas together. */
function Costs({ plan, picked }: { readonly plan: PlanView; readonly picked: string }) {
  const one = plan.offers.find(picked === '' ? mayHold : ({ id }) => id === picked)
  if (!one) return null
  return (
    <Facts
      of={[
        ['Per hour', <Money key="h" microUsd={one.totalPerHourMicroUsd} />],
        [`Per month of ${hoursPerMonth} hours`, <Money key="m" microUsd={one.totalPerMonthMicroUsd} />],
        ['Machines', count(plan.replicas)],
        ['Offers that would be tried', picked === '' ? count(plan.offers.filter(mayHold).length) : 'this one'],
      ]}
    />
  )
}
