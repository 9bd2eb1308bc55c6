import { type CatalogModel, catalogModelOf, type HubToken } from './catalog.ts'
import { type EngineArguments, type EngineName, type EnginePreset, enginePresets } from './engine-presets.ts'
import { type FailureRecord, failureRecord } from './failure.ts'
import { type Fit, type FitAsk, type FitGpu, fitOf, type Memory, mayHold, memoryOf } from './fit.ts'
import { gpuNamed, makerOf } from './gpus.ts'
import type { Offer, RankedOffer } from './offer.ts'
import { isThisHost, recipeOf } from './recipe.ts'
import { sourceKind } from './recipe-model.ts'
import { type ModelEntry, type Processor, processors, type Settings } from './settings.ts'

/** An offer and whether the model fits there; null: not checked, and `unchecked` says why, unless there is nothing to check. */
export interface FittedOffer extends RankedOffer {
  readonly fit: Fit | null
  readonly unchecked: string | null
}

interface EngineWords {
  readonly tensorParallel: string
  readonly utilization: string
  readonly defaultUtilization: number
}

// llama-server is not here: what its files weigh is not what the model card says.
const engineWords: Partial<Record<EngineName, EngineWords>> = {
  vllm: {
    tensorParallel: 'tensor-parallel-size',
    utilization: 'gpu-memory-utilization',
    // Measured on vLLM 0.32; it was 0.9 before.
    defaultUtilization: 0.92,
  },
  sglang: {
    tensorParallel: 'tp-size',
    utilization: 'mem-fraction-static',
    // A guess: it depends on the GPU.
    defaultUtilization: 0.88,
  },
  sim: {
    tensorParallel: 'tensor-parallel-size',
    utilization: 'gpu-memory-utilization',
    defaultUtilization: 0.92,
  },
}

// Of a GPU that the table does not know: drivers were seen to show 93 to 100 % of what the name says.
const shownShare = 0.93

// vLLM on a CPU is told in GiB what it may keep for its cache.
const cacheVariable = 'VLLM_CPU_KVCACHE_SPACE'

function cacheGibOf({ recipes, engines }: Known, { engine }: ModelEntry, offer: Offer): number | null {
  if (offer.gpu !== null) return null
  const env = { ...recipeOf(recipes, engine, offer)?.env, ...engines[engine]?.env }
  const gib = Number(env[cacheVariable])
  return gib > 0 ? gib : null
}

function gpuOf(offer: Offer): FitGpu | null {
  if (offer.gpu === null) {
    const { memoryGib } = offer
    return memoryGib ? { name: 'CPU', gib: memoryGib, capability: null, bf16: true, fp8: false, isHost: true } : null
  }
  const spec = gpuNamed(offer.gpu, offer.vramGib)
  if (spec) return { ...spec, gib: offer.vramGib > 0 ? Math.min(offer.vramGib, spec.gib) : spec.gib }
  if (offer.vramGib <= 0) return null
  return { name: offer.gpu, gib: offer.vramGib * shownShare, capability: null, bf16: true, fp8: false }
}

const numberOf = (value: EngineArguments[string] | undefined): number | null =>
  typeof value === 'number' ? value : null
const halves: EngineArguments[string][] = ['half', 'float16']
const singles: EngineArguments[string][] = ['float', 'float32']

function dtypeOf(value: EngineArguments[string] | undefined): FitAsk['dtype'] {
  if (value === undefined || value === 'auto') return null
  if (halves.includes(value)) return 'half'
  return singles.includes(value) ? 'float32' : 'bfloat16'
}

type Known = Pick<Settings, 'catalog' | 'diskGib' | 'engines' | 'recipes'>

/** Why what a recipe installs does not run on an offer's GPUs at all. Of GPUs that nobody knows nothing is said. */
function whyNotBuiltFor({ recipes }: Known, { engine }: ModelEntry, offer: Offer): FailureRecord | null {
  const { gpu } = offer
  const recipe = recipeOf(recipes, engine, offer)
  if (!recipe?.needs) return null
  const { maker, capability: least } = recipe.needs
  const needs = `The recipe "${recipe.name}" installs an engine for ${maker} GPUs of compute capability ${least} and newer`
  if (gpu === null) return failureRecord('gpu_unsupported', `${needs}; the machine has no GPU.`)
  const made = makerOf(gpu)
  const capability = gpuNamed(gpu, offer.vramGib)?.capability ?? null
  if (made !== null && made !== maker) return failureRecord('gpu_unsupported', `${needs}; ${gpu} is made by ${made}.`)
  if (capability === null || capability >= least) return null
  return failureRecord('gpu_unsupported', `${needs}; ${gpu} has ${capability}.`)
}

/** Nothing is counted of a machine that the engine does not run on. */
function notAtAll({ gpu, vramGib }: Offer, failure: FailureRecord): Fit {
  const none = { budgetGib: 0, weightsGib: 0, kvGib: 0, kvBytesPerToken: 0, overheadGib: 0, diskGib: 0, context: 0 }
  const split = { tensorParallel: 1, concurrency: 0, maxContext: 0, maxConcurrency: 0, arguments: {} }
  return { verdict: 'does_not_fit', fits: false, gpu: gpu ?? '', vramGib, ...none, ...split, failure }
}

/** What decides how much memory the model takes, wherever it runs. */
function takingOf(model: CatalogModel, { engine, concurrency = 1 }: ModelEntry, args: EngineArguments) {
  const kvType = args['kv-cache-dtype']
  const { quantization } = args
  return {
    model,
    context: numberOf(args[enginePresets[engine].contextArgument]),
    concurrency,
    dtype: dtypeOf(args.dtype),
    quantization: typeof quantization === 'string' ? quantization : null,
    kvElementBytes: typeof kvType === 'string' && kvType.startsWith('fp8') ? 1 : 2,
  }
}

/** What the model takes as it is configured; null where too little is known of it. */
export function memoryNeeded({ catalog }: Pick<Settings, 'catalog'>, entry: ModelEntry): Memory | null {
  const model = catalogModelOf(catalog, entry)
  return model && engineWords[entry.engine] ? memoryOf(takingOf(model, entry, entry.args)) : null
}

/** Whether the model fits on the offer with the arguments of its entry under those that are given. */
export function fitOnOffer(settings: Known, entry: ModelEntry, given: EngineArguments, offer: Offer): Fit | null {
  const failure = whyNotBuiltFor(settings, entry, offer)
  if (failure) return notAtAll(offer, failure)
  const model = catalogModelOf(settings.catalog, entry)
  const words = engineWords[entry.engine]
  const gpu = gpuOf(offer)
  if (!model || !words || !gpu) return null
  const args = { ...entry.args, ...given }
  const fit = fitOf({
    ...takingOf(model, entry, args),
    gpu,
    count: Math.max(1, offer.gpuCount),
    tensorParallel: numberOf(args[words.tensorParallel]),
    pipelineParallel: numberOf(args['pipeline-parallel-size']) ?? 1,
    utilization: numberOf(args[words.utilization]) ?? words.defaultUtilization,
    cacheGib: cacheGibOf(settings, entry, offer),
    words: { ...words, context: enginePresets[entry.engine].contextArgument },
  })
  return withDisk(settings, entry, offer, { ...fit, arguments: acceptedBy(entry.engine, fit.arguments) })
}

/** Weights that come from the hub lie on the machine's disk; what is streamed from a store or lies there already does not. */
function withDisk({ diskGib }: Known, { source, engine }: ModelEntry, { cloud }: Offer, fit: Fit): Fit {
  const ordered = diskGib[cloud]
  const isFetched = engine !== 'sim' && sourceKind(source) === 'hub'
  if (!fit.fits || !isFetched || ordered === undefined || fit.diskGib <= ordered) return fit
  const cause = `${source} and the engine take about ${fit.diskGib} GiB of disk; machines of ${cloud} are ordered with ${ordered}.`
  const remedy = `Set \`diskGib\` of ${cloud} to ${fit.diskGib} in the configuration, or stream the weights from an object store.`
  const failure = failureRecord('model_too_large', cause, { remedy })
  return { ...fit, verdict: 'does_not_fit', fits: false, arguments: {}, failure }
}

function acceptedBy(engine: EngineName, given: Fit['arguments']): Fit['arguments'] {
  const allowed: EnginePreset['arguments'] = enginePresets[engine].arguments
  return Object.fromEntries(Object.entries(given).filter(([name]) => Object.hasOwn(allowed, name)))
}

/** What an offer's GPUs demand of the engine, where nobody asked for something else. */
export function argumentsOnOffer(
  settings: Known,
  entry: ModelEntry,
  given: EngineArguments,
  offer: Offer,
): EngineArguments {
  const fit = fitOnOffer(settings, entry, given, offer)
  return fit?.fits ? fit.arguments : {}
}

/** Why nobody has checked whether the model fits, where there is something to check. */
function whyUnchecked(settings: Known, entry: ModelEntry, offer: Offer): string | null {
  const model = catalogModelOf(settings.catalog, entry)
  if (entry.engine === 'sim' && !model) return null
  if (!model) return `the catalogue does not know ${entry.source}`
  if (!engineWords[entry.engine]) return `what the files of ${entry.engine} weigh is not on the model card`
  return offer.gpu === null
    ? 'the machine has no GPU, and nobody says how much memory it has'
    : `nobody says how much memory ${offer.gpu} has`
}

/**
 * The offers with their fit: those that were seen to hold the model, in their order, then those that nobody has checked,
 * then those that cannot hold it.
 */
export function fitOffers(
  settings: Known,
  entry: ModelEntry,
  given: EngineArguments,
  offers: readonly RankedOffer[],
): FittedOffer[] {
  const fitted = offers.map((offer) => {
    const fit = fitOnOffer(settings, entry, given, offer)
    return { ...offer, fit, unchecked: fit ? null : whyUnchecked(settings, entry, offer) }
  })
  const place = ({ fit }: FittedOffer) => (fit === null ? 1 : fit.fits ? 0 : 2)
  return fitted.sort((a, b) => place(a) - place(b))
}

export const withoutFit = ({ fit: _, unchecked: __, ...offer }: FittedOffer): RankedOffer => offer

interface ToTry {
  readonly model: string
  /** Null: the configuration names the model. */
  readonly own: Pick<ModelEntry, 'source' | 'engine'> | null
  readonly engineArgs: EngineArguments
}

/** The offers that may be tried, as a launch keeps them. A model that left the configuration is told of at the join. */
export function offersToTry(
  settings: Known & Pick<Settings, 'models'>,
  { model, own, engineArgs }: ToTry,
  offers: readonly RankedOffer[],
): RankedOffer[] {
  const configured = settings.models.find(({ name }) => name === model)
  const entry = own ? { name: model, ...own, args: {}, description: '' } : configured
  if (!entry) return [...offers]
  return fitOffers(settings, entry, engineArgs, offers).filter(mayHold).map(withoutFit)
}

/** Why none of the offers holds the model: the cause of the largest of them, and the next best one that does hold it. */
export function whyNoOfferHolds(refused: readonly FittedOffer[], others: readonly FittedOffer[]): FailureRecord {
  const memory = ({ fit, gpuCount }: FittedOffer) => (fit?.vramGib ?? 0) * Math.max(1, gpuCount)
  const [largest] = [...refused].sort((a, b) => memory(b) - memory(a))
  const why = largest?.fit?.failure
  if (!why) return failureRecord('model_too_large', 'No offer holds the model.')
  const cheapest = others.find((offer) => offer.fit !== null && mayHold(offer))
  const elsewhere = cheapest
    ? ` The cheapest offer that holds it: ${cheapest.gpuCount} x ${cheapest.gpu} (${cheapest.id}).`
    : ''
  const count = refused.length > 1 ? ` None of ${refused.length} offers holds it; this is the largest.` : ''
  return { ...why, cause: `${why.cause}${count}`, remedy: `${why.remedy}${elsewhere}` }
}

const tokenNames = ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']

/** Whether the hub wants a token for the weights, and there is one. `names` are the variables that the engine will see. */
export function hubTokenOf(settings: Pick<Settings, 'catalog'>, entry: ModelEntry, names: readonly string[]): HubToken {
  const model = catalogModelOf(settings.catalog, entry)
  // A path or a bucket needs no word of the hub.
  if (!model?.gated || entry.source !== model.id) return 'not_needed'
  return tokenNames.some((name) => names.includes(name)) ? 'set' : 'missing'
}

/** Why the hub would not give the weights, or null. */
export function whyGated(
  settings: Pick<Settings, 'catalog'>,
  entry: ModelEntry,
  names: readonly string[],
): FailureRecord | null {
  const model: CatalogModel | null = catalogModelOf(settings.catalog, entry)
  if (!model || hubTokenOf(settings, entry, names) !== 'missing') return null
  const cause = `${model.id} is given out only to accounts that accepted its licence (${model.licence}), and no token is set.`
  const remedy = `Accept the licence on its model card (${model.card}), then \`flightdeck secrets set HF_TOKEN\`.`
  return failureRecord('gated_without_token', cause, { remedy })
}

// As SkyPilot calls GPUs that come with an Arm processor.
const armGpus = new Set(['GH200', 'GB200', 'GB300', 'T4g'])
const processorOf = ({ gpu }: Offer): Processor => (gpu !== null && armGpus.has(gpu) ? 'arm64' : 'x64')

/** What nobody can see of an offer, and what it would end in: a machine that is paid for and cannot run the agent. */
export function warningsOf({ onlyWithNode }: Pick<Settings, 'onlyWithNode'>, offers: readonly Offer[]): string[] {
  return processors.flatMap((processor) => {
    const concerned = offers.filter((offer) => !isThisHost(offer.cloud) && processorOf(offer) === processor)
    const clouds = [...new Set(concerned.map(({ cloud }) => cloud))].join(', ')
    if (clouds === '') return []
    if (onlyWithNode.includes(processor))
      return [
        `The agent was not built as an executable for ${processor}: machines of ${clouds} without Node.js 18 would fail (no_nodejs). \`npm run build:agent\` where the control plane runs, and a new start of it, mend that.`,
      ]
    return processor === 'arm64' ? [`Machines of ${clouds} are arm64, on which nobody has seen the agent run yet.`] : []
  })
}
