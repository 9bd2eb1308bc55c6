import { describe, expect, test } from 'vitest'
import type { CatalogModel } from './catalog.ts'
import { engineCommand } from './engine-command.ts'
import { mayHold } from './fit.ts'
import type { RankedOffer } from './offer.ts'
import { fitOffers, memoryNeeded, offersToTry, warningsOf, whyGated, whyNoOfferHolds } from './preflight.ts'
import { builtInRecipe } from './recipe.ts'
import { defaultSettings, type ModelEntry, type Settings } from './settings.ts'

const model: CatalogModel = {
  id: 'org/eight-8b',
  card: 'org/eight-8b',
  kind: 'chat',
  parameters: 8_030_261_248,
  activeParameters: 8_030_261_248,
  layers: 32,
  hiddenSize: 4_096,
  attentionHeads: 32,
  kvHeads: 8,
  headDim: 128,
  feedForward: 14_336,
  vocabulary: 128_256,
  tiedEmbeddings: false,
  contextTokens: 131_072,
  weights: { dtype: 'bf16', bytesPerParameter: 2 },
  slidingWindow: null,
  latentKv: null,
  licence: 'some-licence',
  gated: true,
  uncertain: [],
}
const entry: ModelEntry = { name: 'eight', engine: 'vllm', source: model.id, args: {}, description: '' }
const settings: Settings = {
  ...defaultSettings,
  models: [entry],
  catalog: [model],
  engines: { vllm: { command: ['vllm', 'serve'], env: {} } },
}
const offer = (gpu: string | null, gpuCount: number, vramGib = 0): RankedOffer => ({
  id: `c/r/${gpu}-${gpuCount}`,
  cloud: 'c',
  region: 'r',
  gpu,
  gpuCount,
  vramGib,
  spot: false,
  pricePerHourMicroUsd: 1,
  available: null,
  standing: null,
})
const t4 = offer('T4', 1)
const l4 = offer('L4', 1)
const h100 = offer('H100', 1)

describe('what a recipe installs', () => {
  const recipe = builtInRecipe('vllm')
  const installing: Settings = { ...settings, recipes: { c: { vllm: recipe } } }
  const old = ['K80', 'M60', 'P100', 'V100-32GB', 'MI300X', 'Radeon MI25'].map((gpu) => offer(gpu, 8))

  test.each([
    ['a model of the catalogue', entry],
    ['one that nobody knows', { ...entry, source: 'org/unknown' }],
  ])('of %s is not tried on GPUs that it was not built for, and each says why', (_, model) => {
    const fitted = fitOffers(installing, model, {}, [...old, h100])
    expect(fitted.map(({ gpu }) => gpu)).toEqual(['H100', ...old.map(({ gpu }) => gpu)])
    expect(fitted.map(({ fit }) => fit?.failure?.code ?? null)).toEqual([null, ...old.map(() => 'gpu_unsupported')])
    expect(fitted[1]?.fit?.failure?.cause).toMatch(/for NVIDIA GPUs of compute capability 7.5 and newer; K80 has 3.7/)
    expect(fitted[5]?.fit?.failure?.cause).toMatch(/MI300X is made by AMD/)
    expect(whyNoOfferHolds(fitted.slice(1), fitted)).toMatchObject({ code: 'gpu_unsupported', retry: 'never' })
    const asked = { model: 'eight', own: null, engineArgs: {} }
    expect(offersToTry({ ...installing, models: [model] }, asked, [...old, h100])).toEqual([h100])
  })

  test('is tried on GPUs that nobody knows, and anything is where an image or the CPU build brings the engine', () => {
    expect(fitOffers(installing, entry, {}, [offer('K520', 1)]).every(mayHold)).toBe(true)
    const small = { ...entry, args: { 'max-model-len': 1_024 } }
    const others: Settings['recipes'][] = [{}, { c: { vllm: builtInRecipe('vllm-cpu') } }]
    for (const recipes of others)
      expect(fitOffers({ ...settings, recipes }, small, {}, [offer('MI300X', 1)]).every(mayHold)).toBe(true)
  })
})

test('offers that cannot hold the model come last and are never tried', () => {
  const fitted = fitOffers(settings, entry, {}, [t4, l4, h100])
  expect(fitted.map(({ gpu, fit }) => [gpu, fit?.verdict])).toEqual([
    ['L4', 'fits_with_less'],
    ['H100', 'fits'],
    ['T4', 'does_not_fit'],
  ])
  expect(offersToTry(settings, { model: 'eight', own: null, engineArgs: {} }, [t4, l4, h100])).toEqual([l4, h100])
  const asked = { model: 'eight', own: null, engineArgs: { 'max-model-len': 131_072 } }
  expect(offersToTry(settings, asked, [t4, l4, h100])).toEqual([h100])
})

test('nothing is said, and nothing refused, where too little is known', () => {
  const verdicts = (over: Partial<ModelEntry>, of: RankedOffer) =>
    fitOffers(settings, { ...entry, ...over }, {}, [of])[0]?.fit
  expect(verdicts({ source: '/models/eight' }, t4)).toBeNull()
  expect(verdicts({ engine: 'sim' }, t4)).toBeNull()
  expect(verdicts({ engine: 'llama-server' }, t4)).toBeNull()
  expect(verdicts({}, offer(null, 0))).toBeNull()
  expect(verdicts({}, offer('Unheard-Of', 1))).toBeNull()
  expect(verdicts({}, offer('Unheard-Of', 1, 80))).toMatchObject({ fits: true, vramGib: 74.4 })
  expect(verdicts({ source: '/models/eight', catalog: model.id }, t4)?.verdict).toBe('does_not_fit')
  expect(offersToTry(settings, { model: 'left', own: null, engineArgs: {} }, [t4])).toEqual([t4])
})

describe('a machine without a GPU', () => {
  const host = (memoryGib?: number): RankedOffer => ({ ...offer(null, 0), ...(memoryGib && { memoryGib }) })
  const large = { ...model, id: 'org/large', parameters: 345_000_000_000 }
  const withLarge = { ...settings, catalog: [model, large] }

  test('holds what its memory holds, weights and cache; a model of 644 GiB it does not, and more of it would not help', () => {
    const asked = { 'max-model-len': 4_096 }
    expect(fitOffers(settings, entry, asked, [host(32)])[0]?.fit).toMatchObject({
      verdict: 'fits',
      gpu: 'CPU',
      vramGib: 32,
      weightsGib: 14.96,
      arguments: {},
    })
    const [refused] = fitOffers(withLarge, { ...entry, source: large.id }, asked, [host(32)])
    expect(refused && mayHold(refused)).toBe(false)
    expect(refused?.fit?.failure).toMatchObject({
      code: 'model_too_large',
      cause: expect.stringMatching(/takes 642.\d+ GiB of weights .* of the 32 GiB of the machine’s memory/),
      remedy: expect.stringMatching(/^Take a machine with GPUs, or with at least 7\d\d GiB of memory/),
    })
  })

  test('is given no longer context than fits into the cache that its engine is told to keep', () => {
    const keeping = { ...settings, engines: { vllm: { command: ['vllm'], env: { VLLM_CPU_KVCACHE_SPACE: '1' } } } }
    const [one] = fitOffers(keeping, entry, {}, [host(64)])
    expect(one?.fit).toMatchObject({ verdict: 'fits_with_less', maxContext: 8_192 })
    expect(one?.fit?.arguments).toEqual({ 'max-model-len': 8_192 })
    expect(one?.fit?.failure?.remedy).toMatch(/a machine with a GPU/)
  })

  test('whose memory nobody knows is said to be unchecked, and comes after what was seen to fit', () => {
    const [first, second, third] = fitOffers(settings, entry, {}, [t4, host(), h100])
    expect([first?.gpu, first?.unchecked]).toEqual(['H100', null])
    expect(second).toMatchObject({ gpu: null, fit: null, unchecked: expect.stringMatching(/no GPU, and nobody says/) })
    expect(third?.gpu).toBe('T4')
    const asked = { model: 'eight', own: null, engineArgs: {} }
    expect(offersToTry(settings, asked, [host(), h100])).toEqual([h100, host()])
  })

  test('is not tried with an engine that is built for GPUs', () => {
    const installing = { ...settings, recipes: { c: { vllm: builtInRecipe('vllm') } } }
    const [one] = fitOffers(installing, { ...entry, source: 'org/unknown' }, {}, [host(64)])
    expect(one?.fit?.failure).toMatchObject({ code: 'gpu_unsupported', cause: expect.stringMatching(/has no GPU/) })
  })
})

test('why nothing was checked is said wherever there was something to check', () => {
  const why = (over: Partial<ModelEntry>, of: RankedOffer) =>
    fitOffers(settings, { ...entry, ...over }, {}, [of])[0]?.unchecked
  expect(why({ source: '/models/eight' }, t4)).toBe('the catalogue does not know /models/eight')
  expect(why({ engine: 'llama-server' }, t4)).toMatch(/llama-server weigh is not on the model card/)
  expect(why({}, offer('Unheard-Of', 1))).toBe('nobody says how much memory Unheard-Of has')
  expect(why({ engine: 'sim', source: 'sim' }, t4)).toBeNull()
  expect(why({}, h100)).toBeNull()
})

test('what an offer demands is given to the engine, unless somebody asked for something else', () => {
  const words = (given: Record<string, number>, of: RankedOffer) =>
    engineCommand(settings, 'eight', given, of).argv.join(' ')
  expect(words({}, offer('L4', 4))).toContain('--tensor-parallel-size 4')
  expect(words({}, l4)).toMatch(/--max-model-len \d+$/)
  expect(words({ 'max-model-len': 4_096 }, l4)).toMatch(/--max-model-len 4096$/)
  expect(words({ 'tensor-parallel-size': 2 }, offer('L4', 4))).toMatch(/--tensor-parallel-size 2/)
  expect(words({}, t4)).not.toContain('--quantization')
  const sglang = { ...settings, models: [{ ...entry, engine: 'sglang' as const }], engines: {} }
  expect(engineCommand(sglang, 'eight', {}, offer('L4', 4)).argv.join(' ')).toContain('--tp-size 4')
})

test('a simulated model that weighs something is told nothing that its engine would refuse', () => {
  const sim = { ...entry, engine: 'sim' as const, source: 'sim', catalog: model.id }
  const fitted = fitOffers(settings, sim, {}, [offer('L4', 4), t4])
  expect(fitted.map((one) => [mayHold(one), one.fit?.arguments])).toEqual([
    [true, {}],
    [false, {}],
  ])
})

test('a refusal tells of the largest offer, and where the model would fit', () => {
  const why = whyNoOfferHolds(
    fitOffers(settings, entry, {}, [t4, offer('T4', 1, 8)]),
    fitOffers(settings, entry, {}, [h100]),
  )
  expect(why).toMatchObject({ code: 'model_too_large', fault: 'caller', retry: 'never' })
  expect(why.cause).toContain('14.96 GiB of weights')
  expect(why.cause).toContain('None of 2 offers')
  expect(why.remedy).toContain('1 x H100 (c/r/H100-1)')
})

test('where a machine without Node could not run the agent, that is told before it is paid for, with what mends it', () => {
  const warned = (onlyWithNode: Settings['onlyWithNode'], ...offers: RankedOffer[]) =>
    warningsOf({ onlyWithNode }, offers)
  expect(warned(['x64', 'arm64'], { ...l4, cloud: 'local' })).toEqual([])
  expect(warned(['arm64'], l4, h100)).toEqual([])
  expect(warned(['x64', 'arm64'], l4, h100)).toEqual([expect.stringMatching(/for x64: machines of c .*build:agent/)])
  const gh200 = { ...h100, gpu: 'GH200', cloud: 'lambda' }
  expect(warned(['arm64'], l4, gh200)).toEqual([expect.stringMatching(/for arm64: machines of lambda /)])
  expect(warned([], gh200)).toEqual([expect.stringContaining('nobody has seen the agent run')])
})

test('a gated model needs a token only where it comes from the hub', () => {
  expect(whyGated(settings, entry, ['OTHER'])).toMatchObject({
    code: 'gated_without_token',
    remedy: expect.stringContaining('flightdeck secrets set HF_TOKEN'),
  })
  expect(whyGated(settings, entry, ['HF_TOKEN'])).toBeNull()
  expect(whyGated(settings, { ...entry, source: '/models/eight', catalog: model.id }, [])).toBeNull()
  expect(whyGated({ catalog: [{ ...model, gated: false }] }, entry, [])).toBeNull()
})

test('weights that do not fit on the ordered disk are told with the disk to order, before a machine is paid for', () => {
  const tight = { ...settings, diskGib: { c: 30 } }
  const fitOf = (known: typeof settings, over: Partial<ModelEntry> = {}) =>
    fitOffers(known, { ...entry, ...over }, {}, [h100])[0]?.fit
  const fit = fitOf(tight)
  expect([fit?.fits, fit?.verdict]).toEqual([false, 'does_not_fit'])
  expect(fit?.failure?.cause).toMatch(/about 36 GiB of disk; machines of c are ordered with 30/)
  expect(fit?.failure?.remedy).toMatch(/`diskGib` of c to 36/)
  expect(fitOf({ ...settings, diskGib: { c: 36 } })?.fits).toBe(true)
  expect(fitOf(settings)?.fits).toBe(true)
  for (const source of ['s3://bucket/eight', '/models/eight'])
    expect(fitOf(tight, { source, catalog: model.id })?.fits).toBe(true)
})

test('the memory that a model needs is what it takes on a GPU that holds it, as it is configured', () => {
  const needed = (over: Partial<ModelEntry>) => memoryNeeded(settings, { ...entry, ...over })
  const whole = needed({})
  const [{ fit } = expect.fail()] = fitOffers(settings, entry, {}, [offer('H200', 1)])
  expect(whole).toMatchObject({ context: 131_072, concurrency: 1 })
  expect([whole?.weightsGib, whole?.kvGib, whole?.overheadGib]).toEqual([fit?.weightsGib, fit?.kvGib, fit?.overheadGib])
  expect(whole?.totalGib).toBeCloseTo(14.96 + 16 + 1.25, 1)
  expect(needed({ args: { 'max-model-len': 8_192, 'tensor-parallel-size': 4 }, concurrency: 4 })).toMatchObject({
    weightsGib: whole?.weightsGib,
    kvGib: 4,
    context: 8_192,
    concurrency: 4,
  })
  expect(needed({ source: 'org/other' })).toBeNull()
})
