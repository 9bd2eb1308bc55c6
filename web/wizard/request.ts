import {
  type EngineArguments,
  type EngineName,
  engineArgv,
  enginePresets,
  readArgument,
} from '../../src/core/engine-presets.ts'
import { Failure } from '../../src/core/failure.ts'
import { secondsOf } from '../../src/core/human-time.ts'
import { microUsdOf } from '../../src/core/money.ts'
import { anyWish, spotRules } from '../../src/core/offer.ts'
import { type LaunchRequest, launchLimitS, mostConcurrency, mostReplicas } from '../../src/wire/routes.ts'
import type { OfferNowView } from '../../src/wire/views.ts'
import { whyNotName } from '../words/given-name.ts'
import { type Draft, type DraftField, listOf } from './draft.ts'
import { modelOf, ownOf, wrongOwn } from './own.ts'

/** What cannot be asked for as it was typed, with what to do about it. */
export type Wrong = Readonly<Partial<Record<DraftField, string>>>

export interface Asked {
  readonly request: LaunchRequest
  readonly replicas: number
  readonly wrong: Wrong
}

interface Whole {
  readonly min: number
  readonly max: number
}

const bounds = {
  gpuCount: { min: 0, max: 1_024 },
  context: { min: 1, max: 10_000_000 },
  concurrency: { min: 1, max: mostConcurrency },
  replicas: { min: 1, max: mostReplicas },
} as const satisfies Partial<Record<DraftField, Whole>>

/** The request that the draft makes, and what is wrong with it. What is wrong is left out of the request. */
export function askedOf(draft: Draft, engine: EngineName | null): Asked {
  const wrong: Partial<Record<DraftField, string>> = {}
  const whole = (field: keyof typeof bounds): number | undefined => {
    const { value, why } = readWhole(draft[field], bounds[field])
    if (why) wrong[field] = why
    return value
  }
  const replicas = whole('replicas') ?? 1
  const own = ownOf(draft)
  if (own) Object.assign(wrong, wrongOwn(draft))
  const request: LaunchRequest = {
    model: modelOf(draft),
    ...(own ? { own } : {}),
    engineArgs: argumentsOf(draft, engine, whole('context'), wrong),
    wish: {
      ...anyWish,
      clouds: listOf(draft.clouds),
      regions: listOf(draft.regions),
      gpus: listOf(draft.gpus),
      gpuCount: whole('gpuCount') ?? null,
      spot: spotRules.find((rule) => rule === draft.spot) ?? 'allow',
      maxPricePerHourMicroUsd: priceOf(draft.maxPrice, wrong),
    },
    dryRun: false,
  }
  if (draft.deployment !== '') {
    const why = whyNotName(draft.deployment)
    if (why === null) request.deployment = draft.deployment
    else wrong.deployment = why
  }
  const concurrency = whole('concurrency')
  if (concurrency !== undefined) request.concurrency = concurrency
  const limit = timeOf(draft.timeLimit, wrong)
  if (limit !== undefined) request.timeLimitS = limit
  return { request, replicas, wrong }
}

/** The wish narrowed to one offer: nothing else is tried. */
export function onlyOffer(request: LaunchRequest, offer: OfferNowView): LaunchRequest {
  const { cloud, region, gpu, gpuCount, spot } = offer
  const gpus = gpu === null ? [] : [gpu]
  const wish = { ...request.wish, clouds: [cloud], regions: [region], gpus, gpuCount }
  return { ...request, wish: { ...wish, spot: spot ? 'only' : 'never' } }
}

function readWhole(text: string, { min, max }: Whole): { value?: number; why?: string } {
  if (text.trim() === '') return {}
  const value = Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return { value }
  return { why: `Give a whole number from ${min} to ${max}, or leave it empty.` }
}

function priceOf(text: string, wrong: Partial<Record<DraftField, string>>): number | null {
  if (text.trim() === '') return null
  const usd = Number(text)
  if (Number.isFinite(usd) && usd >= 0 && usd <= 1_000_000) return microUsdOf(usd)
  wrong.maxPrice = 'Give dollars an hour, like 2.50, or leave it empty.'
  return null
}

function timeOf(text: string, wrong: Partial<Record<DraftField, string>>): number | undefined {
  if (text.trim() === '') return undefined
  const seconds = secondsOf(text.trim())
  if (seconds !== null && seconds >= launchLimitS.min && seconds <= launchLimitS.max) return seconds
  wrong.timeLimit = 'Write it like 90s, 20m or 1h30m, from 5 seconds to a day, or leave it empty.'
  return undefined
}

/** One a line, `name=value`; checked by the same list as the server's. */
function argumentsOf(
  { args }: Draft,
  engine: EngineName | null,
  context: number | undefined,
  wrong: Partial<Record<DraftField, string>>,
): EngineArguments {
  const read = new Map<string, string | number | boolean>()
  for (const line of args.split('\n')) {
    const word = line.trim()
    if (word === '') continue
    const argument = readArgument(word)
    const why = argument === null ? `"${word}" names no argument.` : whyRefused(engine, argument, read)
    if (argument && !why) read.set(...argument)
    else wrong.args ??= `${why} Write one a line, like max-num-seqs=64.`
  }
  if (context !== undefined && engine) {
    const name = enginePresets[engine].contextArgument
    if (read.has(name)) wrong.context = `The argument ${name} says it too: leave one of them out.`
    else read.set(name, context)
  }
  return Object.fromEntries(read)
}

function whyRefused(
  engine: EngineName | null,
  [name, value]: readonly [string, string | number | boolean],
  before: ReadonlyMap<string, unknown>,
): string | null {
  if (before.has(name)) return `${name} is given twice.`
  if (engine === null) return null
  try {
    engineArgv(engine, { [name]: value })
    return null
  } catch (error) {
    if (error instanceof Failure) return `${error.record.cause} ${error.record.remedy}`
    throw error
  }
}
