import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CatalogModel } from './catalog.ts'
import { type FitAsk, fitOf, fitVerdicts, mayHold } from './fit.ts'
import { gpuNamed } from './gpus.ts'

const eightB: CatalogModel = {
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
  licence: 'mit',
  gated: false,
  uncertain: [],
}

const ask = (gpu: string, over: Partial<FitAsk> = {}): FitAsk => {
  const spec = gpuNamed(gpu, 0)
  if (!spec) throw new Error(`no GPU ${gpu}`)
  return {
    model: eightB,
    gpu: spec,
    count: 1,
    context: null,
    concurrency: 1,
    dtype: null,
    quantization: null,
    kvElementBytes: 2,
    tensorParallel: null,
    pipelineParallel: 1,
    utilization: 0.92,
    words: { context: 'max-model-len', tensorParallel: 'tensor-parallel-size' },
    ...over,
  }
}
const seventyB: CatalogModel = {
  ...eightB,
  id: 'org/seventy-70b',
  parameters: 70_553_706_496,
  layers: 80,
  hiddenSize: 8_192,
  attentionHeads: 64,
}

test('weights and cache are counted as they are published: 16 GB of weights, 128 KiB for each token', () => {
  const fit = fitOf(ask('H100', { context: 8_192, concurrency: 4 }))
  expect(fit).toMatchObject({
    verdict: 'fits',
    fits: true,
    weightsGib: 14.96,
    kvBytesPerToken: 131_072,
    kvGib: 4,
    budgetGib: 73.14,
    arguments: {},
    failure: null,
  })
  expect(fit.maxConcurrency).toBeGreaterThan(50)
})

test('a context that does not fit is cut where nobody asked for it, and refused where somebody did', () => {
  const cut = fitOf(ask('L4'))
  expect(cut).toMatchObject({ verdict: 'fits_with_less', fits: true, arguments: { 'max-model-len': cut.maxContext } })
  expect(cut.maxContext).toBeGreaterThan(16_000)
  expect(fitOf(ask('L4', { context: cut.maxContext })).verdict).toBe('fits')
  const refused = fitOf(ask('L4', { context: 131_072 }))
  expect(refused).toMatchObject({ verdict: 'fits_with_less', fits: false, arguments: {} })
  expect(refused.failure?.remedy).toContain(`max-model-len=${cut.maxContext}`)
})

test('what cannot fit says what would help: 8-bit weights, more GPUs, or larger ones', () => {
  const remedy = (fit: ReturnType<typeof fitOf>) => {
    expect(fit).toMatchObject({ verdict: 'does_not_fit', fits: false, maxConcurrency: 0 })
    return fit.failure?.remedy
  }
  const onL40s = fitOf(ask('L40S', { model: seventyB, count: 2 }))
  expect(remedy(onL40s)).toContain('quantization=fp8')
  expect(onL40s.arguments).toMatchObject({ quantization: 'fp8', 'tensor-parallel-size': 2 })
  expect(remedy(fitOf(ask('A100-80GB', { model: seventyB })))).toContain('--gpus 2')
  expect(remedy(fitOf(ask('T4', { model: seventyB })))).toMatch(/at least \d+ GiB each/)
  expect(fitOf(ask('T4', { model: seventyB })).failure).toMatchObject({ code: 'model_too_large', retry: 'never' })
})

test('a model is split over as many GPUs as divide its heads, and the engine is told', () => {
  expect(fitOf(ask('L4', { count: 4 })).arguments).toMatchObject({ 'tensor-parallel-size': 4 })
  expect(fitOf(ask('L4', { count: 3 })).tensorParallel).toBe(2)
  const odd = { ...eightB, attentionHeads: 28, kvHeads: 4 }
  expect(fitOf(ask('L4', { model: odd, count: 8 })).tensorParallel).toBe(4)
  expect(fitOf(ask('L4', { count: 1, tensorParallel: 2 })).failure?.cause).toContain('ask for 2 GPUs')
  expect(fitOf(ask('L4', { count: 8, tensorParallel: 3 })).failure?.cause).toContain('cannot be split over 3')
})

test('a GPU without bfloat16 is told to use halves, and refuses what it cannot compute', () => {
  const small = { ...eightB, parameters: 3_000_000_000 }
  expect(fitOf(ask('T4', { model: small })).arguments).toMatchObject({ dtype: 'half' })
  expect(fitOf(ask('L4', { model: small })).arguments).not.toHaveProperty('dtype')
  expect(fitOf(ask('T4', { model: small, dtype: 'bfloat16' })).failure?.remedy).toContain('dtype=half')
  const fp8 = { ...small, weights: { dtype: 'fp8' as const, bytesPerParameter: 1 } }
  expect(fitOf(ask('T4', { model: fp8 })).failure?.cause).toContain('too old')
  expect(fitOf(ask('A10G', { model: fp8 })).fits).toBe(true)
})

test('a sliding window, a compressed cache and 8-bit cache elements take less', () => {
  const full = fitOf(ask('H100')).kvGib
  expect(fitOf(ask('H100', { kvElementBytes: 1 })).kvGib).toBe(full / 2)
  const sliding = { ...eightB, slidingWindow: { tokens: 1_024, fullLayers: 8 } }
  expect(fitOf(ask('H100', { model: sliding })).kvGib).toBeLessThan(full / 3.8)
  const latent = { ...eightB, latentKv: 576 }
  expect(fitOf(ask('H100', { model: latent })).kvGib).toBe(full * (576 / 2_048))
  expect(fitOf(ask('H100', { model: latent, count: 8 })).kvGib).toBe(full * (576 / 2_048))
})

const anyAsk = fc
  .record({
    gpu: fc.constantFrom('T4', 'L4', 'A100', 'H100', 'B200'),
    count: fc.integer({ min: 1, max: 16 }),
    context: fc.option(fc.integer({ min: 1, max: 200_000 })),
    concurrency: fc.integer({ min: 1, max: 300 }),
    parameters: fc.integer({ min: 1e8, max: 7e11 }),
    kvHeads: fc.constantFrom(1, 2, 4, 8, 16, 32),
    window: fc.option(fc.integer({ min: 1, max: 32 })),
    latentKv: fc.option(fc.constant(576)),
  })
  .map(({ gpu, parameters, kvHeads, latentKv, window, ...rest }) => {
    const slidingWindow = window === null ? null : { tokens: 1_024, fullLayers: window }
    return ask(gpu, { ...rest, model: { ...eightB, parameters, kvHeads, latentKv, slidingWindow } })
  })
const rank = (of: FitAsk) => -fitVerdicts.indexOf(fitOf(of).verdict)

test('more memory, more GPUs, a shorter context or fewer requests never make it fit worse', () => {
  fc.assert(
    fc.property(anyAsk, fc.integer({ min: 1, max: 100 }), (given, more) => {
      const context = given.context ?? given.model.contextTokens
      const better: FitAsk[] = [
        { ...given, gpu: { ...given.gpu, gib: given.gpu.gib + more } },
        { ...given, count: given.count + more },
        { ...given, context: Math.max(1, context - more * 1_000) },
        { ...given, concurrency: Math.max(1, given.concurrency - more) },
      ]
      for (const easier of better) {
        expect(rank(easier)).toBeGreaterThanOrEqual(rank(given))
        expect(fitOf(easier).kvGib).toBeLessThanOrEqual(fitOf(given).kvGib)
      }
    }),
  )
})

test('the longest context that is told fits, a longer one does not, and every refusal has a remedy', () => {
  fc.assert(
    fc.property(anyAsk, (given) => {
      const fit = fitOf(given)
      expect(fit.failure === null).toBe(fit.verdict === 'fits')
      if (fit.failure) expect(fit.failure.remedy).toMatch(/^[A-Z].{8,}\.$/s)
      if (fit.verdict !== 'fits_with_less') return
      const alone = { ...given, concurrency: 1 }
      expect(fitOf({ ...alone, context: fit.maxContext }).verdict).toBe('fits')
      if (fit.maxContext < fit.context)
        expect(fitOf({ ...alone, context: Math.min(fit.context, fit.maxContext + 16) }).verdict).not.toBe('fits')
    }),
  )
})

test('what nobody could check is tried, what does not fit is not', () => {
  expect([null, { fits: true }, { fits: false }].map((fit) => mayHold({ fit }))).toEqual([true, true, false])
})
