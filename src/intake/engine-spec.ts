import { engineCommand, modelNamed, type OwnModel } from '../core/engine-command.ts'
import type { EngineArguments } from '../core/engine-presets.ts'
import type { Offer } from '../core/offer.ts'
import { recipeOf, stagesFor } from '../core/recipe.ts'
import type { Settings } from '../core/settings.ts'
import type { EngineSpec, Installation } from '../wire/agent.ts'

interface DeployedModel {
  readonly model: string
  readonly own: OwnModel | null
  readonly engineArgs: EngineArguments
  readonly offer: Offer
}

/**
 * What the agent of a deployment's node starts.
 * @throws Failure where the configuration no longer knows the model, its engine or one of its arguments.
 */
export function engineSpecFor(settings: Settings, { model, own, engineArgs, offer }: DeployedModel): EngineSpec {
  const { engine, servedName, argv, env, healthPath } = engineCommand(settings, model, engineArgs, offer, own)
  return {
    engine,
    servedName,
    argv,
    env: { ...env },
    healthPath,
    maxRestarts: settings.engineRestarts,
    stopGraceMs: settings.engineStopGraceMs,
  }
}

/** What its machine has to be given first; null where it brings the engine. @throws Failure as `engineSpecFor`. */
export function installationFor(
  settings: Settings,
  { model, own, engineArgs, offer }: DeployedModel,
): Installation | null {
  const entry = modelNamed(settings, model, own)
  const recipe = recipeOf(settings.recipes, entry.engine, offer)
  if (!recipe) return null
  return { folder: recipe.folder, stages: stagesFor(recipe, entry, { ...entry.args, ...engineArgs }) }
}
