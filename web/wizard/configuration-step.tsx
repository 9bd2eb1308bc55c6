import { type ArgumentKind, type EnginePreset, enginePresets, writtenArguments } from '../../src/core/engine-presets.ts'
import type { ModelView } from '../../src/wire/catalog.ts'
import type { OfferNowView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { Choice, Field, TextField } from '../parts/field.tsx'
import { Loaded } from '../parts/page.tsx'
import { Panel } from '../parts/panel.tsx'
import { type Draft, listOf, textOf } from './draft.ts'
import { engineNamed } from './find-model.ts'
import { OrderedChoice } from './ordered-choice.tsx'
import type { Wrong } from './request.ts'
import type { Drafting } from './use-draft.ts'
import look from './wizard.module.css'

const spotTexts = [
  { value: 'allow', text: 'Spot or on demand, whichever ranks first' },
  { value: 'first', text: 'Spot first, then on demand' },
  { value: 'only', text: 'Spot only' },
  { value: 'never', text: 'On demand only' },
] as const

/** What is known of the model while it is configured. */
export type ModelAsked = Pick<ModelView, 'name' | 'engine' | 'source' | 'args'>

interface StepProps {
  readonly drafting: Drafting
  readonly model: ModelAsked
  readonly wrong: Wrong
}

export function ConfigurationStep(props: StepProps) {
  const offers = useRead('listOffers')
  return (
    <div className="stack">
      <Panel title="Where" sub="What stands first is tried first">
        <Loaded of={offers}>{({ items }) => <Where {...props} offers={items} />}</Loaded>
      </Panel>
      <Panel title="Engine" sub={`${props.model.engine}, ${props.model.source}`}>
        <Engine {...props} />
      </Panel>
      <Panel title="How many, and for how long">
        <HowMany {...props} />
      </Panel>
    </div>
  )
}

/** Each value once, sorted; an offer of a machine without a GPU has none to name. */
const valuesOf = (offers: readonly OfferNowView[], of: (offer: OfferNowView) => string | null): string[] =>
  [...new Set(offers.map(of))].filter((value) => value !== null).sort()

function Where({ drafting, wrong, offers }: StepProps & { readonly offers: readonly OfferNowView[] }) {
  const { draft, change } = drafting
  const clouds = listOf(draft.clouds)
  const inClouds = offers.filter(({ cloud }) => clouds.length === 0 || clouds.includes(cloud))
  const list = (field: 'clouds' | 'regions' | 'gpus') => ({
    chosen: listOf(draft[field]),
    onChange: (chosen: readonly string[]) => change({ [field]: textOf(chosen), offer: '' }),
  })
  const text = textFields(drafting, wrong)
  return (
    <div className={look['form']}>
      <OrderedChoice
        label="Clouds"
        hint="Any cloud will do."
        options={valuesOf(offers, ({ cloud }) => cloud)}
        {...list('clouds')}
      />
      <OrderedChoice
        label="Regions"
        hint="Any region will do."
        options={valuesOf(inClouds, ({ region }) => region)}
        {...list('regions')}
      />
      <OrderedChoice
        label="GPUs"
        hint="Any GPU that holds the model will do."
        options={valuesOf(inClouds, ({ gpu }) => gpu)}
        {...list('gpus')}
      />
      <TextField label="GPUs a machine" hint="Empty: as many as an offer has." {...text('gpuCount')} />
      <Choice
        label="Spot machines"
        hint="Cheaper; a cloud may take them back, and then another is launched."
        value={draft.spot}
        options={spotTexts}
        onChange={(spot) => change({ spot, offer: '' })}
      />
      <TextField label="Dollars an hour at most" hint="Empty: no limit." {...text('maxPrice')} />
    </div>
  )
}

function Engine({ drafting, model, wrong }: StepProps) {
  const { draft, change } = drafting
  const engine = engineNamed(model.engine)
  const preset: EnginePreset | null = engine && enginePresets[engine]
  const given = writtenArguments(model.args)
  const text = textFields(drafting, wrong)
  return (
    <div className={look['form']}>
      <TextField
        label="Context length, in tokens"
        hint={`Of one request at most. Empty: ${contextMeant(model, preset)}.`}
        {...text('context')}
      />
      <TextField
        label="Requests of that length at a time"
        hint="What the memory has to hold. Empty: as the model is configured."
        {...text('concurrency')}
      />
      <div className={look['wide']}>
        <Field
          label="Arguments of the engine"
          hint={
            given.length > 0 ? `One a line, over those of the model: ${given.join(', ')}.` : 'One a line: name=value.'
          }
          wrong={wrong.args ?? null}
        >
          {(wiring) => (
            <textarea
              {...wiring}
              className={`input ${look['args']}`}
              value={draft.args}
              onChange={({ target }) => change({ args: target.value })}
              placeholder="max-num-seqs=64"
              spellCheck={false}
              autoComplete="off"
            />
          )}
        </Field>
      </div>
      {preset && (
        <details className={look['wide']}>
          <summary className="soft">What {preset.name} takes</summary>
          <dl className="pairs">
            {Object.entries(preset.arguments).map(([name, kind]) => [
              <dt key={`${name}-name`}>
                <code>{name}</code>
              </dt>,
              <dd key={name}>{kindWords(kind)}</dd>,
            ])}
          </dl>
        </details>
      )}
    </div>
  )
}

function contextMeant({ args }: ModelAsked, preset: EnginePreset | null): string {
  const configured = preset && args[preset.contextArgument]
  return configured ? `${configured}, as the model is configured` : "the model's own, or what fits"
}

function kindWords(kind: ArgumentKind): string {
  switch (kind.kind) {
    case 'flag':
      return 'given by its name alone'
    case 'integer':
      return `a whole number from ${kind.min} to ${kind.max}`
    case 'number':
      return `a number from ${kind.min} to ${kind.max}`
    case 'choice':
      return kind.of.join(', ')
    case 'text':
      return 'a plain name'
  }
}

function HowMany({ drafting, model, wrong }: StepProps) {
  const deployments = useRead('listDeployments')
  const text = textFields(drafting, wrong)
  const here = (deployments.data?.items ?? []).filter((one) => one.model === model.name).map(({ name }) => name)
  return (
    <div className={look['form']}>
      <TextField
        label="Replicas"
        hint="Each is a machine of its own, and is replaced when it is lost."
        {...text('replicas')}
      />
      <TextField
        label="Deployment"
        hint="Gets the replicas: a new one, or one that is there. Empty: named after the model."
        suggestions={here}
        {...text('deployment')}
      />
      <TextField
        label="Time limit"
        hint="Give up a launch after this long, like 20m. Empty: what the clouds' own limits add up to."
        {...text('timeLimit')}
      />
    </div>
  )
}

/** What ties a text field to the draft. */
function textFields({ draft, change }: Drafting, wrong: Wrong) {
  return (field: Exclude<keyof Draft, 'step'>) => ({
    value: draft[field],
    onChange: (value: string) => change({ [field]: value }),
    wrong: wrong[field] ?? null,
  })
}
