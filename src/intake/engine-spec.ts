import { engineCommand } from '../core/engine-command.ts'
import type { EngineArguments } from '../core/engine-presets.ts'
import type { Offer } from '../core/offer.ts'
import type { Settings } from '../core/settings.ts'
import type { EngineSpec } from '../wire/agent.ts'

/**
 * What the agent of a deployment's node starts.
 * @throws Failure where the configuration no longer knows the model, its engine or one of its arguments.
 */
export function engineSpecFor(
  settings: Settings,
  { model, engineArgs, offer }: { model: string; engineArgs: EngineArguments; offer: Offer },
): EngineSpec {
  const { engine, servedName, argv, env, healthPath } = engineCommand(settings, model, engineArgs, offer)
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
