import type { CatalogModel } from './catalog.ts'
import { type FailureRecord, failureRecord } from './failure.ts'

/** A GPU as far as it decides what runs on it. `gib` is what the driver shows. */
export interface FitGpu {
  readonly name: string
  readonly gib: number
  /** CUDA compute capability; null for other makers and for GPUs that nobody knows. */
  readonly capability: number | null
  readonly bf16: boolean
  readonly fp8: boolean
  /** The memory of a machine without a GPU: there is no second one of it. */
  readonly isHost?: true
}

/** How an engine calls what follows from a fit. */
export interface FitWords {
  readonly context: string
  readonly tensorParallel: string
}

export interface FitAsk {
  readonly model: CatalogModel
  readonly gpu: FitGpu
  readonly count: number
  /** Tokens of one request at most; null where nobody asked: the model's own, or less where that does not fit. */
  readonly context: number | null
  /** Requests of full length at the same time. */
  readonly concurrency: number
  readonly dtype: 'half' | 'bfloat16' | 'float32' | null
  readonly quantization: string | null
  readonly kvElementBytes: number
  /** Null: as many of the GPUs as the model can be split over. */
  readonly tensorParallel: number | null
  readonly pipelineParallel: number
  /** Share of a GPU's memory that the engine takes. */
  readonly utilization: number
  /** What the engine was told to keep for the cache; null: all that is left. */
  readonly cacheGib?: number | null
  readonly words: FitWords
}

export const fitVerdicts = ['fits', 'fits_with_less', 'does_not_fit'] as const
export type FitVerdict = (typeof fitVerdicts)[number]

/** Memory is of one GPU of the split, in GiB. */
export interface Fit {
  readonly verdict: FitVerdict
  /** Whether a launch may try it: it fits, or it fits with a shorter context and nobody asked for a longer one. */
  readonly fits: boolean
  readonly gpu: string
  readonly tensorParallel: number
  readonly vramGib: number
  /** What the engine takes of it. */
  readonly budgetGib: number
  readonly weightsGib: number
  readonly kvGib: number
  readonly kvBytesPerToken: number
  readonly overheadGib: number
  readonly diskGib: number
  readonly context: number
  readonly concurrency: number
  /** The longest single request that fits; 0 where not even the weights do. */
  readonly maxContext: number
  /** Of requests of full length; 0 where not one fits. */
  readonly maxConcurrency: number
  /** What to give the engine so that it fits; of a verdict `does_not_fit`, what would make it fit, if anything. */
  readonly arguments: Readonly<Record<string, string | number>>
  readonly failure: FailureRecord | null
}

/** What nobody could check may hold the model; what was seen not to does not. */
export const mayHold = ({ fit }: { readonly fit: Pick<Fit, 'fits'> | null }): boolean => fit?.fits ?? true

const bytesPerGib = 2 ** 30
const blockTokens = 16
// Below this nobody is served: a guess.
const shortestContext = 1_024

/** Activations, CUDA graphs and libraries beside weights and cache. Guessed: one GiB, and 16 buffers of 2048 tokens. */
const overheadBytes = ({ hiddenSize }: CatalogModel): number => bytesPerGib + 16 * 2_048 * hiddenSize * 2

// Guessed: an engine's Python environment and its compile cache, and a twentieth for what lies beside the weights.
const diskGibOf = ({ parameters, weights }: CatalogModel): number =>
  20 + (1.05 * parameters * weights.bytesPerParameter) / bytesPerGib

const quantizedBytes: Readonly<Record<string, number>> = { fp8: 1, w8a8_fp8: 1, w8a8_int8: 1, bitsandbytes: 0.6 }

/** Bytes of one parameter in memory. Engines load 32-bit weights as 16-bit ones unless told otherwise. */
function loadedBytes({ model, dtype, quantization }: Pick<FitAsk, 'model' | 'dtype' | 'quantization'>): number {
  const published = model.weights.bytesPerParameter
  const loaded = dtype === 'float32' ? Math.max(4, published) : Math.min(2, published)
  return Math.min(loaded, quantizedBytes[quantization ?? ''] ?? loaded)
}

function canSplit({ attentionHeads, kvHeads, latentKv }: CatalogModel, ways: number): boolean {
  const kv = latentKv !== null || kvHeads % ways === 0 || ways % kvHeads === 0
  return attentionHeads % ways === 0 && kv
}

/** Over how many GPUs one layer is split: as asked, else the most that the heads can be divided by. */
function splitOf({ model, count, tensorParallel, pipelineParallel }: FitAsk): number {
  if (tensorParallel !== null) return tensorParallel
  let ways = Math.max(1, Math.floor(count / pipelineParallel))
  while (ways > 1 && !canSplit(model, ways)) ways -= 1
  return ways
}

/** The cache that one request of so many tokens takes on one GPU. */
function kvBytes(
  { model, kvElementBytes, pipelineParallel }: Pick<FitAsk, 'model' | 'kvElementBytes' | 'pipelineParallel'>,
  split: number,
  tokens: number,
): number {
  // Heads that are fewer than GPUs are kept by each; a compressed vector cannot be split at all.
  const elements = model.latentKv ?? 2 * Math.max(1, model.kvHeads / split) * model.headDim
  const { fullLayers, tokens: window } = model.slidingWindow ?? { fullLayers: model.layers, tokens: 0 }
  const kept = fullLayers * tokens + (model.layers - fullLayers) * Math.min(tokens, window)
  return (elements * kvElementBytes * kept) / pipelineParallel
}

/** The longest request whose cache fits into the room, in whole blocks unless it is the longest there may be. */
function longestContext(ask: FitAsk, split: number, room: number, limit: number): number {
  let low = 0
  let high = limit
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (kvBytes(ask, split, middle) <= room) low = middle
    else high = middle - 1
  }
  return low === limit ? low : low - (low % blockTokens)
}

type MemoryAsk = Pick<FitAsk, 'model' | 'context' | 'concurrency' | 'dtype' | 'quantization' | 'kvElementBytes'>

/** What a model takes in all, in GiB: on one GPU that holds it, with the cache of so many requests of full length. */
export interface Memory {
  readonly totalGib: number
  readonly weightsGib: number
  readonly kvGib: number
  readonly overheadGib: number
  readonly context: number
  readonly concurrency: number
}

export function memoryOf(ask: MemoryAsk): Memory {
  const { model, concurrency } = ask
  const context = ask.context ?? model.contextTokens
  const weights = model.parameters * loadedBytes(ask)
  const kv = kvBytes({ ...ask, pipelineParallel: 1 }, 1, context) * concurrency
  const overhead = overheadBytes(model)
  const parts = { weightsGib: gibOf(weights), kvGib: gibOf(kv), overheadGib: gibOf(overhead) }
  return { totalGib: gibOf(weights + kv + overhead), ...parts, context, concurrency }
}

/** Whether the model can run on these GPUs, with what context, and what to tell the engine or the person. */
export function fitOf(ask: FitAsk): Fit {
  const { impossible, ...fit } = measure(ask)
  if (fit.verdict === 'does_not_fit') return { ...fit, ...whatWouldHelp(ask, fit, impossible) }
  return { ...fit, arguments: argumentsFor(ask, fit), failure: fit.verdict === 'fits' ? null : lessContext(ask, fit) }
}

function measure(ask: FitAsk): Measured & { impossible: Told | null } {
  const { model, gpu, concurrency } = ask
  const split = splitOf(ask)
  const weights = (model.parameters * loadedBytes(ask)) / (split * ask.pipelineParallel)
  const budget = gpu.gib * bytesPerGib * ask.utilization
  const left = budget - weights - overheadBytes(model)
  const room = Math.max(0, Math.min(left, (ask.cacheGib ?? Number.POSITIVE_INFINITY) * bytesPerGib))
  const impossible = whatIsImpossible(ask, split)
  const context = ask.context ?? model.contextTokens
  const maxContext = impossible ? 0 : longestContext(ask, split, room, context)
  const oneRequest = kvBytes(ask, split, context)
  const verdict = verdictOf(maxContext, context, !impossible && oneRequest * concurrency <= room)
  return {
    impossible,
    verdict,
    fits: verdict !== 'does_not_fit' && (ask.context === null || maxContext === context),
    gpu: gpu.name,
    tensorParallel: split,
    vramGib: rounded(gpu.gib),
    budgetGib: gibOf(budget),
    weightsGib: gibOf(weights),
    kvGib: gibOf(oneRequest * concurrency),
    kvBytesPerToken: Math.ceil(oneRequest / context),
    overheadGib: gibOf(overheadBytes(model)),
    diskGib: Math.ceil(diskGibOf(model)),
    context,
    concurrency,
    maxContext,
    maxConcurrency: impossible ? 0 : Math.floor(room / oneRequest),
  }
}

type Measured = Omit<Fit, 'arguments' | 'failure'>
type Told = readonly [cause: string, remedy: string]

const rounded = (value: number): number => Math.round(value * 100) / 100
const gibOf = (bytes: number): number => rounded(bytes / bytesPerGib)

function verdictOf(maxContext: number, context: number, allFits: boolean): FitVerdict {
  if (allFits) return 'fits'
  return maxContext >= Math.min(context, shortestContext) ? 'fits_with_less' : 'does_not_fit'
}

/** What no amount of memory would change. */
function whatIsImpossible({ model, gpu, count, dtype, pipelineParallel, words }: FitAsk, split: number): Told | null {
  const wanted = split * pipelineParallel
  if (wanted > count)
    return [
      `The arguments ask for ${wanted} GPUs; this is ${count} x ${gpu.name}.`,
      `Ask for --gpus ${wanted}, or lower --arg ${words.tensorParallel}.`,
    ]
  if (!canSplit(model, split))
    return [
      `${model.attentionHeads} attention heads and ${model.kvHeads} KV heads cannot be split over ${split} GPUs.`,
      `Give --arg ${words.tensorParallel} a number that divides them.`,
    ]
  if (dtype === 'bfloat16' && !gpu.bf16)
    return [`${gpu.name} cannot compute in bfloat16.`, 'Use --arg dtype=half, or a GPU from Ampere on.']
  const old = gpu.capability !== null && gpu.capability < 8
  if (old && (model.weights.dtype === 'fp8' || model.weights.dtype === 'mxfp4'))
    return [`The weights are ${model.weights.dtype}, which ${gpu.name} is too old for.`, 'Use a GPU from Ampere on.']
  return null
}

function argumentsFor({ model, gpu, dtype, context, words }: FitAsk, fit: Measured): Fit['arguments'] {
  const is16Bit = model.weights.dtype === 'bf16' || model.weights.dtype === 'fp32'
  return {
    ...(fit.tensorParallel > 1 && { [words.tensorParallel]: fit.tensorParallel }),
    ...(fit.maxContext < fit.context && context === null && { [words.context]: fit.maxContext }),
    ...(dtype === null && !gpu.bf16 && is16Bit && { dtype: 'half' }),
  }
}

function lessContext({ words, gpu: { isHost } }: FitAsk, fit: Measured): FailureRecord {
  const { context, concurrency, maxContext, gpu } = fit
  const whole = maxContext === context
  const cause = whole
    ? `${gpu} has room for ${fit.maxConcurrency} of ${concurrency} requests of ${context} tokens at the same time.`
    : `A request of ${context} tokens does not fit on ${gpu}; ${maxContext} tokens do.`
  const shorter = whole ? 'Expect others to wait' : `Use --arg ${words.context}=${maxContext}`
  const remedy = `${shorter}, or take ${isHost ? 'a machine with a GPU' : 'more or larger GPUs'}.`
  return failureRecord('model_too_large', cause, { remedy })
}

/** Why it does not fit, and the first of: 8-bit weights, more of the same GPU, a larger one. */
function whatWouldHelp(
  ask: FitAsk,
  fit: Measured,
  impossible: Told | null,
): { arguments: Fit['arguments']; failure: FailureRecord } {
  const told = (cause: string, remedy: string) => failureRecord('model_too_large', cause, { remedy })
  if (impossible) return { arguments: {}, failure: told(...impossible) }
  const { model, gpu, count } = ask
  const split = fit.tensorParallel * ask.pipelineParallel
  const each = split > 1 ? ` on each of ${split} GPUs` : ''
  const cause =
    `${model.id} takes ${fit.weightsGib} GiB of weights and ${fit.overheadGib} GiB beside them${each}; ` +
    `the engine takes ${fit.budgetGib} of the ${fit.vramGib} GiB of ${gpu.isHost ? 'the machine’s memory' : gpu.name}.`
  if (ask.quantization === null && gpu.fp8 && model.weights.bytesPerParameter >= 2) {
    const smaller = { ...ask, quantization: 'fp8' }
    const fp8 = measure(smaller)
    if (fp8.fits)
      return {
        arguments: { ...argumentsFor(smaller, fp8), quantization: 'fp8' },
        failure: told(cause, 'Use --arg quantization=fp8, which changes answers a little, or take more GPUs.'),
      }
  }
  const need = fit.weightsGib + fit.overheadGib + gibOf(kvBytes(ask, fit.tensorParallel, shortestContext))
  const needGib = Math.ceil(need / ask.utilization)
  if (gpu.isHost)
    return {
      arguments: {},
      failure: told(cause, `Take a machine with GPUs, or with at least ${needGib} GiB of memory, or a smaller model.`),
    }
  const more = [2, 4, 8].find((n) => n > count && measure({ ...ask, count: n }).fits)
  const remedy = more
    ? `Take ${more} of them (--gpus ${more}), or a GPU of at least ${needGib} GiB.`
    : `Take GPUs of at least ${needGib} GiB each, more of them, or a smaller model.`
  return { arguments: {}, failure: told(cause, remedy) }
}
