import { becomesWords } from '../../src/core/becomes.ts'
import { mayHold } from '../../src/core/fit.ts'
import { humanRough } from '../../src/core/human-time.ts'
import { hoursPerMonth } from '../../src/core/money.ts'
import type { PlanView, ReadyInView } from '../../src/wire/plan.ts'
import type { LaunchRequest } from '../../src/wire/routes.ts'
import { Button } from '../parts/button.tsx'
import { CopyText } from '../parts/copy.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded } from '../parts/page.tsx'
import { Pairs, Panel } from '../parts/panel.tsx'
import { Problem } from '../parts/problem.tsx'
import { Age } from '../parts/time.tsx'
import { count, machines } from '../words/counts.ts'
import { boughtAs, machineOf, placeOf } from '../words/offers.ts'
import { type Call, callOf, commandOf, curlOf } from './as-text.ts'
import { PlanTroubles } from './instance-step.tsx'
import { usePlan } from './plan.ts'
import { useAsking } from './use-asking.ts'
import look from './wizard.module.css'
import { limitWords, setupWords } from './words.ts'

interface SummaryStepProps {
  /** Exactly what is asked. */
  readonly request: LaunchRequest
  readonly replicas: number
  readonly onBack: () => void
}

/** What will happen and what it costs, and the button that makes it so. */
export function SummaryStep({ request, replicas, onBack }: SummaryStepProps) {
  const plan = usePlan(request, replicas)
  return (
    <Loaded of={plan}>
      {(of) => {
        const call = callOf(request, replicas, of)
        return (
          <div className={`stack ${look['tight']}`}>
            <PlanTroubles of={of} />
            {of.warnings.map((warning) => (
              <div className="note" key={warning}>
                {warning}
              </div>
            ))}
            <Panel title="What will happen">
              <WhatHappens plan={of} replicas={replicas} source={request.own?.source ?? null} />
            </Panel>
            <Launch call={call} plan={of} replicas={replicas} onBack={onBack} />
            <Panel title="The same elsewhere">
              <div className="stack">
                <p className="soft">As a command:</p>
                <CopyText text={commandOf(call)} />
                <p className="soft">
                  As a call of the API, with a token of yours in <code>FLIGHTDECK_TOKEN</code>:
                </p>
                <CopyText text={curlOf(call, location.origin)} />
              </div>
            </Panel>
          </div>
        )
      }}
    </Loaded>
  )
}

const credentials = {
  not_needed: 'needs none',
  work: 'work as of the last `sky check`',
  refused: 'are refused',
  unknown: 'not known now',
} as const

interface WhatHappensProps extends Pick<SummaryStepProps, 'replicas'> {
  readonly plan: PlanView
  /** Of a model that no configuration names. */
  readonly source: string | null
}

function WhatHappens({ plan, replicas, source }: WhatHappensProps) {
  const tried = plan.offers.filter(mayHold)
  const [first] = tried
  return (
    <div className="stack">
      {first && (
        <p>
          {machines(replicas)}, {machineOf(first)} at {placeOf(first)}, {boughtAs(first)}:{' '}
          <strong>
            <Money microUsd={plan.totalPerHourMicroUsd} perHour />
          </strong>{' '}
          {replicas > 1 && 'together, each '}from the moment {first.cloud} says that it exists until it says that it is
          gone, which is <Money microUsd={plan.totalPerMonthMicroUsd} /> in a month of {hoursPerMonth} hours.
          {first.readyIn && <BeforeFirstToken {...first.readyIn} replicas={replicas} />}
          {tried.length > 1 && ` If that fails, the next of ${count(tried.length)} offers is tried, for its own price.`}
        </p>
      )}
      <Pairs
        of={[
          ['Model', `${plan.model} (${plan.engine})`],
          ['Its weights', source],
          ['Deployment', `${plan.deployment}, ${becomesWords(plan.becomes)}`],
          ['Tried in turn', tried.length > 0 ? tried.map(placeOf).join(', then ') : null],
          ['Dearest of them', tried.length > 1 ? <Money key="dearest" microUsd={dearest(plan)} perHour /> : null],
          ['Engine comes by', first?.setups.does ? setupWords(first.setups.does) : null],
          ['Time limit', limitWords(plan)],
          ['Queue', plan.queuePlace <= 1 ? 'starts at once' : `place ${plan.queuePlace}`],
          ['Disk', first?.fit ? `about ${first.fit.diskGib} GiB` : null],
          ['Hub token', plan.hubToken === 'set' ? 'set, as the model asks for one' : null],
          ...plan.clouds.map(
            ({ cloud, credentials: answer, readAt }) =>
              [
                `Credentials, ${cloud}`,
                <>
                  {credentials[answer]}
                  {answer === 'work' && (
                    <>
                      , asked <Age at={readAt} /> ago
                    </>
                  )}
                </>,
              ] as const,
          ),
          ['Engine', <code key="argv">{plan.argv.join(' ')}</code>],
        ]}
      />
    </div>
  )
}

/** As long as launches took at that cloud before. */
function BeforeFirstToken({ ms, costMicroUsd, replicas }: ReadyInView & Pick<SummaryStepProps, 'replicas'>) {
  return (
    <>
      {' '}
      It usually serves after {humanRough(ms)}: about <Money microUsd={costMicroUsd} />
      {replicas > 1 && ' each'} before the first token.
    </>
  )
}

const dearest = ({ offers }: PlanView): number =>
  Math.max(...offers.filter(mayHold).map(({ pricePerHourMicroUsd }) => pricePerHourMicroUsd))

interface LaunchProps {
  readonly call: Call
  readonly plan: PlanView
  readonly replicas: number
  readonly onBack: () => void
}

function Launch({ call, plan, replicas, onBack }: LaunchProps) {
  const asking = useAsking()
  return (
    <>
      <Problem of={asking.failure} />
      <div className={look['foot']}>
        <Button onPress={onBack}>Back</Button>
        <Button
          look="main"
          act={call.act}
          busy={asking.isRunning}
          blocked={plan.refusals.length > 0 ? 'would be refused, for the reason above' : null}
          {...(plan.offers.some(mayHold) ? { costPerHourMicroUsd: plan.totalPerHourMicroUsd } : {})}
          onPress={() => void asking.ask(call)}
        >
          {replicas === 1 ? 'Launch' : `Launch ${count(replicas)}`}
        </Button>
      </div>
    </>
  )
}
