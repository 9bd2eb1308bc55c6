import { expect, test } from 'vitest'
import type { FitView } from '../wire/catalog.ts'
import type { PlanView } from '../wire/plan.ts'
import { offersText } from './fleet-text.ts'
import { offerWords, standingWords } from './launch-progress.ts'
import { widthOf } from './plain-text.ts'
import { catalogText, fitBar, planText } from './plan-text.ts'
import { ascii, at, now, offer, offered } from './test-views.ts'

const fit: FitView = {
  verdict: 'fits',
  fits: true,
  gpu: 'L4',
  tensorParallel: 4,
  vramGib: 22.25,
  budgetGib: 20.47,
  weightsGib: 3.74,
  kvGib: 4,
  kvBytesPerToken: 32_768,
  overheadGib: 1.25,
  diskGib: 36,
  context: 131_072,
  concurrency: 1,
  maxContext: 131_072,
  maxConcurrency: 3,
  arguments: { 'tensor-parallel-size': 4 },
  cause: null,
  remedy: null,
}
const cut: FitView = {
  ...fit,
  verdict: 'fits_with_less',
  tensorParallel: 1,
  weightsGib: 14.96,
  kvGib: 16,
  maxContext: 34_896,
  maxConcurrency: 0,
  arguments: { 'max-model-len': 34_896 },
  cause: 'A request of 131072 tokens does not fit on L4; 34896 tokens do.',
  remedy: 'Use --arg max-model-len=34896, or take more or larger GPUs.',
}
const none: FitView = {
  ...cut,
  verdict: 'does_not_fit',
  fits: false,
  arguments: {},
  maxContext: 0,
  cause: 'Too large.',
}

const costs = { pricePerMonthMicroUsd: 584_000_000, totalPerHourMicroUsd: 800_000, totalPerMonthMicroUsd: 584_000_000 }
const unseen = { ...costs, readyIn: null, reasons: [], lately: null }
const gpu = { ...offered, ...unseen, gpu: 'L4', cloud: 'sky', region: 'eu', pricePerHourMicroUsd: 800_000 }
const brought = { does: null, instead: null }
const recipe = { way: 'recipe' as const, name: 'vllm', ms: 95_000, measured: true, costMicroUsd: 21_111 }
const image = { ...recipe, way: 'image' as const, name: 'docker:vllm', ms: 200_000, measured: false }
const setups = { does: recipe, instead: image }
const plan: PlanView = {
  model: 'eight',
  engine: 'vllm',
  argv: ['vllm', 'serve'],
  deployment: 'eight',
  becomes: { id: null, wantedFrom: 0, wantedTo: 1 },
  offers: [
    { ...gpu, gpuCount: 4, fit, unchecked: null, setups, readyIn: { ms: 190_000, costMicroUsd: 40_000 } },
    { ...gpu, gpuCount: 1, fit: cut, unchecked: null, setups: brought },
    { ...gpu, gpuCount: 1, fit: none, unchecked: null, setups: brought },
  ],
  refusals: [],
  hubToken: 'not_needed',
  clouds: [],
  pricePerHourMicroUsd: 800_000,
  pricePerMonthMicroUsd: 584_000_000,
  replicas: 1,
  totalPerHourMicroUsd: 800_000,
  totalPerMonthMicroUsd: 584_000_000,
  timeLimitS: 1_800,
  timeLimitCountsWaits: true,
  queuePlace: 0,
  warnings: [],
}

test('several replicas are told with what becomes of their deployment, and what all of them cost', () => {
  const several = { ...plan, replicas: 3, totalPerHourMicroUsd: 2_400_000, totalPerMonthMicroUsd: 1_752_000_000 }
  const text = (becomes: PlanView['becomes']) => planText({ ...several, becomes }, now(0), ascii(120))
  expect(text({ id: 'de-1', wantedFrom: 2, wantedTo: 5 })).toMatch(
    /^would launch {2}3 x eight \(vllm\)\ndeployment {4}eight, which wants 5 instead of 2\ncost {10}\$2\.4000 an hour, \$1752\.00 a month for all 3\n/,
  )
  expect(text(null)).toContain('\ndeployment    eight, which does not take this\n')
})

test('what may go wrong on the machines stands below the offers', () => {
  const text = planText({ ...plan, warnings: ['No agent for them.'] }, now(0), ascii(80))
  expect(text).toMatch(/\nwarning: No agent for them\.\nNothing was started\.\n$/)
})

test('a plan shows how full each GPU gets, what the engine is told, and why an offer is left out', () => {
  expect(planText(plan, now(0), ascii(Number.POSITIVE_INFINITY))).toBe(`would launch  eight (vllm)
deployment    eight, which is new and wants 1
cost          $0.8000 an hour, $584.00 a month
time limit    30m00s in all, as asked for
queue         starts at once
disk          about 36 GiB
engine        vllm serve
offers, in the order they would be tried
  1  sky eu L4 x4, $0.8000/h, $584.00 a month
     installs by recipe vllm: about 1m35s (measured), $0.0211
     instead, image docker:vllm: about 3m20s (a guess), $0.0211
     usually serves after 3m10s, $0.0400 before the first token
     [#####++=====............] L4 22.25 GiB, split over 4: weights 3.74
     KV cache 4 GiB for 1 x 131072 tokens (room for 3)
     adds tensor-parallel-size=4
  2  sky eu L4, $0.8000/h, $584.00 a month
     [#################++=====] L4 22.25 GiB: weights 14.96
     KV cache 16 GiB would be needed for 1 x 131072 tokens
     context is cut to 34896 of 131072 tokens
     adds max-model-len=34896
offers that cannot hold the model
  -  sky eu L4, $0.8000/h, $584.00 a month
     [#################++=====] L4 22.25 GiB: weights 14.96
     KV cache 16 GiB would be needed for 1 x 131072 tokens
     cause: Too large.
     remedy: Use --arg max-model-len=34896, or take more or larger GPUs.
Nothing was started.
`)
})

test('an offer names the machine type that its price is of, where there are types', () => {
  expect(offerWords({ ...gpu, gpuCount: 2, spot: true, instanceType: 'g6.12xlarge' })).toBe(
    'sky eu L4 x2 (g6.12xlarge), spot, $0.8000/h',
  )
})

test('a bar is as wide as any other, however much is wanted, and no line is wider than the screen', () => {
  for (const kvGib of [0, 0.01, 5, 1e6]) expect(widthOf(fitBar({ ...fit, kvGib }, ascii(80)))).toBe(26)
  for (const columns of [40, 80])
    for (const line of planText(plan, now(0), ascii(columns)).split('\n').slice(7))
      expect(widthOf(line)).toBeLessThanOrEqual(columns)
})

test('the catalogue shows size, weights, memory needed, context and licence, and marks what was not checked', () => {
  const model = {
    id: 'org/moe',
    card: 'org/moe',
    kind: 'chat' as const,
    parameters: 30_500_000_000,
    activeParameters: 3_300_000_000,
    layers: 48,
    hiddenSize: 2_048,
    attentionHeads: 32,
    kvHeads: 4,
    headDim: 128,
    feedForward: null,
    vocabulary: 151_936,
    tiedEmbeddings: false,
    contextTokens: 262_144,
    weights: { dtype: 'bf16' as const, bytesPerParameter: 2 },
    slidingWindow: null,
    latentKv: null,
    licence: 'apache-2.0',
    gated: true,
    uncertain: ['activeParameters' as const],
    memory: { totalGib: 71, weightsGib: 57, kvGib: 12, overheadGib: 2, context: 262_144, concurrency: 1 },
  }
  expect(
    catalogText([model], ascii(Number.POSITIVE_INFINITY)),
  ).toBe(`MODEL                   SIZE      WEIGHTS   NEEDS  CONTEXT  KIND  LICENCE
org/moe *  31B (3.3B active)  57 GiB bf16  71 GiB   262144  chat  apache-2.0, gated
* not every figure was checked; --json names them
`)
})

test('why an offer has its rank is said below it, with what it counted for', () => {
  const standing = { factor: 3.4, refusals: 2, refusedAt: at(0), refusedFor: 'no_capacity', gaveAt: null }
  const refused = {
    ...plan,
    offers: [{ ...offered, ...unseen, standing, fit: null, unchecked: null, setups: brought }],
  }
  expect(planText(refused, now(240), ascii(200))).toContain(
    '\n     refused 2 times, last 4m00s ago (no_capacity): ranked as x3.40 its price\n',
  )
  const gave = { factor: 0.9, refusals: 0, refusedAt: null, refusedFor: null, gaveAt: at(0) }
  expect(standingWords({ ...offer, standing: gave }, now(60))).toBe(
    'gave a machine 1m00s ago: ranked as x0.90 its price',
  )
  expect(
    planText(
      { ...plan, offers: [{ ...offered, ...unseen, fit: null, unchecked: null, setups: brought }] },
      now(0),
      ascii(200),
    ),
  ).not.toContain('ranked')
})

test('offers that are old say so, and a cloud that offers nothing now says why and what to do', () => {
  const failure = {
    code: 'cloud_credentials',
    fault: 'policy',
    retry: 'not_here',
    cause: 'Not enabled.',
    remedy: 'sky check aws',
  } as const
  const aws = { cloud: 'aws', readAt: null, stale: true, failedAt: at(0), failure, credentials: 'refused' as const }
  const sky = {
    cloud: 'sky',
    readAt: at(0),
    stale: true,
    failedAt: at(0),
    failure: { ...failure, cause: 'It is away.' },
    credentials: 'unknown' as const,
  }
  const local = {
    cloud: 'local',
    readAt: at(0),
    stale: false,
    failedAt: null,
    failure: null,
    credentials: 'not_needed' as const,
  }
  const old = { ...gpu, stale: true, gpuCount: 1, fit: null, unchecked: null, setups: brought }
  const text = planText({ ...plan, offers: [old], clouds: [aws, local, sky] }, now(600), ascii(200))
  expect(text).toContain('sky eu L4, $0.8000/h, $584.00 a month, stale (10m00s)\n')
  expect(text).toContain('aws: Not enabled. (its offers were never read)\n  what to do: sky check aws\n')
  expect(text).toContain('sky: It is away. (its offers are from 10m00s ago)\n')
  expect(text).not.toContain('local:')
  expect(offersText({ items: [], clouds: [aws] }, now(600), ascii(200))).toMatch(/offers anything.*\naws: Not enabled/)
  expect(offersText({ items: [old], clouds: [] }, now(600), ascii(200))).toContain('10m00s stale')
})

test('which clouds were asked for their credentials is said with the answer, also when they work', () => {
  const asked = (cloud: string, credentials: PlanView['clouds'][number]['credentials']) => {
    return { cloud, readAt: at(0), stale: false, failedAt: null, failure: null, credentials }
  }
  const clouds = [
    asked('aws', 'work'),
    asked('gcp', 'refused'),
    asked('lambda', 'unknown'),
    asked('local', 'not_needed'),
  ]
  expect(planText({ ...plan, clouds, hubToken: 'set' }, now(12), ascii(200))).toContain(
    'credentials   aws works as of the last `sky check`, asked 12s ago; gcp REFUSED; lambda not known now; local needs none\n' +
      'hub token     set, as the model asks for one\n',
  )
})

test('what nobody has checked says so below its offer, with why', () => {
  const unchecked = { ...gpu, gpuCount: 1, fit: null, unchecked: 'nobody knows it', setups: brought }
  expect(planText({ ...plan, offers: [unchecked] }, now(0), ascii(200))).toContain(
    '\n     NOT CHECKED whether it fits: nobody knows it\n',
  )
})

test('a plan that would be refused is shown as a whole, with each refusal in it', () => {
  const refused = (code: string) => {
    return { code, fault: 'policy', retry: 'never', cause: `Cause of ${code}.`, remedy: `Mend ${code}.` } as const
  }
  const refusals = [refused('gated_without_token')]
  const text = planText({ ...plan, refusals }, now(0), ascii(200))
  expect(text).toContain('offers, in the order they would be tried\n  1  sky eu L4 x4')
  expect(text).toMatch(
    /would be refused: Cause of gated_without_token\.\nwhat to do: Mend gated_without_token\.\n\(code gated_without_token\)\nNothing was started\.\n$/,
  )
  const offers = plan.offers.slice(2)
  const none = planText({ ...plan, offers, refusals: [refused('model_too_large')] }, now(0), ascii(200))
  expect(none).not.toMatch(/^cost|in the order/m)
  expect(none).toMatch(/offers that cannot hold the model\n {2}- [\s\S]*would be refused: Cause of model_too_large/)
})
