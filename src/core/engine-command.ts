import { type EngineArguments, type EngineName, engineArgv, enginePresets, portWord } from './engine-presets.ts'
import { Failure } from './failure.ts'
import type { Offer } from './offer.ts'
import { argumentsOnOffer } from './preflight.ts'
import { recipeOf } from './recipe.ts'
import { argumentsOfSource } from './recipe-model.ts'
import type { ModelEntry, Settings } from './settings.ts'

/** What runs on a node: argv words with `{port}` for the port, the operator's environment, and where health answers. */
export interface EngineCommand {
  readonly engine: EngineName
  readonly servedName: string
  readonly argv: string[]
  readonly env: Readonly<Record<string, string>>
  readonly healthPath: string
}

/** A model that the configuration does not name: where its weights lie, and which engine loads them. */
export interface OwnModel {
  readonly source: string
  readonly engine: EngineName
}

/** @throws Failure `unknown_model`, whose remedy names what can be launched. */
export function modelNamed(settings: Pick<Settings, 'models'>, name: string, own: OwnModel | null = null): ModelEntry {
  if (own) return { name, ...own, args: {}, description: '' }
  const found = settings.models.find((model) => model.name === name)
  if (found) return found
  const known = settings.models.map((model) => model.name)
  const remedy =
    known.length === 0
      ? 'Say where its weights lie, or add the model to the configuration; it names none yet.'
      : `Say where its weights lie, add it to the configuration, or launch one of: ${known.join(', ')}.`
  throw new Failure('unknown_model', `The model "${name}" is not in the configuration.`, { remedy }, { known })
}

/**
 * The command of the recipe or else of the operator, the words of the preset, and the arguments of the model under those
 * of the request. What the offer's GPUs and the model's source demand lies under both: who asks for something else gets it.
 * @throws Failure `unknown_model`, `unknown_engine`, `forbidden_argument` or `malformed_argument`.
 */
export function engineCommand(
  settings: Settings,
  model: string,
  given: EngineArguments,
  offer: Offer | null = null,
  own: OwnModel | null = null,
): EngineCommand {
  const entry = modelNamed(settings, model, own)
  const { name, engine, source, args } = entry
  const demanded = offer ? argumentsOnOffer(settings, entry, given, offer) : {}
  const preset = enginePresets[engine]
  const recipe = recipeOf(settings.recipes, engine, offer)
  const command = recipe?.command ?? settings.engines[engine]?.command ?? preset.command
  if (command.length === 0) throw new Failure('unknown_engine', `No command is configured for the engine "${engine}".`)
  // The engine sees the name that clients use, so that its answers carry it too.
  const words = preset.argv({ model: source, servedName: name, port: portWord })
  return {
    engine,
    servedName: name,
    argv: [
      ...command,
      ...words,
      ...engineArgv(engine, { ...demanded, ...argumentsOfSource(engine, source), ...args, ...given }),
    ],
    env: { ...recipe?.env, ...settings.engines[engine]?.env },
    healthPath: preset.healthPath,
  }
}
