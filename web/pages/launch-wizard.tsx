import type { ReactNode } from 'react'
import { useRead } from '../api/reading.ts'
import { Button } from '../parts/button.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty } from '../parts/panel.tsx'
import { ConfigurationStep, type ModelAsked } from '../wizard/configuration-step.tsx'
import { type Draft, type Step, steps } from '../wizard/draft.ts'
import { engineNamed } from '../wizard/find-model.ts'
import { InstanceStep } from '../wizard/instance-step.tsx'
import { ModelStep } from '../wizard/model-step.tsx'
import { modelOf, ownOf, wrongOwn } from '../wizard/own.ts'
import { isChosenByDeployment, usePlan } from '../wizard/plan.ts'
import { type Asked, askedOf, onlyOffer } from '../wizard/request.ts'
import { SummaryStep } from '../wizard/summary-step.tsx'
import { type Drafting, useDraft } from '../wizard/use-draft.ts'
import look from '../wizard/wizard.module.css'

const titles: Readonly<Record<Step, string>> = {
  model: 'Model',
  configuration: 'Configuration',
  instance: 'Instance',
  summary: 'Summary',
}

export function LaunchWizardPage() {
  const drafting = useDraft()
  const { draft, step, go } = drafting
  const isChosen = modelOf(draft) !== '' && (draft.from !== 'own' || Object.keys(wrongOwn(draft)).length === 0)
  return (
    <Page title="Launch" sub={subOf(draft)}>
      <nav aria-label="Steps" className={look['steps']}>
        {steps.map((one, i) => (
          <button
            key={one}
            type="button"
            aria-current={one === step ? 'step' : undefined}
            aria-disabled={(one !== 'model' && !isChosen) || undefined}
            onClick={() => (one === 'model' || isChosen) && go(one)}
          >
            {i + 1} {titles[one]}
          </button>
        ))}
      </nav>
      {step === 'model' || !isChosen ? (
        <ModelStep drafting={drafting} />
      ) : (
        <LaterStep drafting={drafting} step={step} />
      )}
    </Page>
  )
}

function subOf(draft: Draft): string | null {
  const { context, replicas, deployment } = draft
  const model = modelOf(draft)
  if (model === '') return 'Nothing is started before the last step'
  const own = ownOf(draft)
  return [
    model,
    own && `from ${own.source}`,
    context && `${context} tokens of context`,
    replicas === '1' ? '1 replica' : `${replicas} replicas`,
    deployment && `for ${deployment}`,
  ]
    .filter(Boolean)
    .join(' · ')
}

interface LaterStepProps {
  readonly drafting: Drafting
  readonly step: Exclude<Step, 'model'>
}

/** The steps after the model was chosen; by an address it may be one that is not configured any more. */
function LaterStep({ drafting, step }: LaterStepProps) {
  const own = ownOf(drafting.draft)
  const models = useRead('listModels', undefined, { enabled: own === undefined })
  if (own) return <Steps drafting={drafting} step={step} model={{ name: modelOf(drafting.draft), args: {}, ...own }} />
  return (
    <Loaded of={models}>
      {({ items }) => {
        const model = items.find(({ name }) => name === drafting.draft.model)
        if (model) return <Steps drafting={drafting} step={step} model={model} />
        return (
          <Empty title={`${drafting.draft.model} is not configured here.`}>
            <p>What you chose otherwise is kept.</p>
            <Button look="main" onPress={() => drafting.go('model', { own: drafting.draft.model, model: '' })}>
              Choose another model
            </Button>
          </Empty>
        )
      }}
    </Loaded>
  )
}

function Steps({ drafting, step, model }: LaterStepProps & { readonly model: ModelAsked }) {
  const { draft, go } = drafting
  const asked = askedOf(draft, engineNamed(model.engine))
  if (step === 'configuration' || Object.keys(asked.wrong).length > 0)
    return (
      <>
        {step !== 'configuration' && <div className="note">Something below cannot be asked for as it is.</div>}
        <ConfigurationStep drafting={drafting} model={model} wrong={asked.wrong} />
        <Foot onBack={() => go('model')}>
          <Button
            look="main"
            blocked={Object.keys(asked.wrong).length > 0 ? 'mend what is marked first' : null}
            onPress={() => go('instance')}
          >
            See what it costs
          </Button>
        </Foot>
      </>
    )
  return <Priced drafting={drafting} step={step} asked={asked} />
}

interface PricedProps {
  readonly drafting: Drafting
  readonly step: 'instance' | 'summary'
  readonly asked: Asked
}

function Priced({ drafting, step, asked: { request, replicas } }: PricedProps) {
  const { draft, go, change } = drafting
  const plan = usePlan(request, replicas)
  // What was picked before the deployment was named is kept, and counts where machines are chosen here.
  const picked = plan.data && isChosenByDeployment(plan.data) ? '' : draft.offer
  const offer = plan.data?.offers.find(({ id }) => id === picked)
  const isLost = picked !== '' && plan.data !== undefined && !offer
  const lost = isLost && (
    <div className="note" role="alert">
      The offer that you chose is not there any more.{' '}
      <Button onPress={() => change({ offer: '' })}>Take the first that can be had</Button>
    </div>
  )
  if (step === 'instance')
    return (
      <>
        {lost}
        <InstanceStep drafting={drafting} plan={plan} />
        <Foot onBack={() => go('configuration')}>
          <Button
            look="main"
            blocked={plan.data ? (isLost ? 'choose an offer first' : null) : 'the offers are not read yet'}
            onPress={() => go('summary')}
          >
            Go on
          </Button>
        </Foot>
      </>
    )
  if (isLost) return lost
  if (picked !== '' && !offer) return <Loaded of={plan}>{() => null}</Loaded>
  const exact = offer ? onlyOffer(request, offer) : request
  return <SummaryStep request={exact} replicas={replicas} onBack={() => go('instance')} />
}

function Foot({ onBack, children }: { readonly onBack: () => void; readonly children: ReactNode }) {
  return (
    <div className={look['foot']}>
      <Button onPress={onBack}>Back</Button>
      {children}
    </div>
  )
}
