import { writtenArguments } from '../../src/core/engine-presets.ts'
import type { LaunchRequest } from '../../src/wire/routes.ts'
import { type Draft, emptyDraft, textOf } from '../wizard/draft.ts'

/** What the wizard's address says when it shall ask for the same, with everything open to change. */
export function draftOf({ model, own, deployment, engineArgs, wish, timeLimitS, concurrency }: LaunchRequest): Draft {
  const { clouds, regions, gpus, gpuCount, spot, maxPricePerHourMicroUsd } = wish
  return {
    ...emptyDraft,
    step: 'configuration',
    ...(own ? { from: 'own', own: own.source, engine: own.engine, name: model } : { model }),
    deployment: deployment ?? '',
    args: writtenArguments(engineArgs).join('\n'),
    clouds: textOf(clouds),
    regions: textOf(regions),
    gpus: textOf(gpus),
    gpuCount: gpuCount === null ? '' : String(gpuCount),
    spot,
    maxPrice: maxPricePerHourMicroUsd === null ? '' : String(maxPricePerHourMicroUsd / 1_000_000),
    concurrency: concurrency === undefined ? '' : String(concurrency),
    timeLimit: timeLimitS === undefined ? '' : `${timeLimitS}s`,
  }
}

/** As the address has it: what equals its default is left out. */
export function wizardSearch(request: LaunchRequest): Readonly<Record<string, string>> {
  const draft: Readonly<Record<string, string>> = draftOf(request)
  const defaults: Readonly<Record<string, string>> = emptyDraft
  return Object.fromEntries(Object.entries(draft).filter(([field, value]) => value !== defaults[field]))
}
