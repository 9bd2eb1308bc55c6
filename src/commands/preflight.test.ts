import { afterEach, beforeEach, expect, test } from 'vitest'
import type { CatalogModel } from '../core/catalog.ts'
import type { EngineArguments } from '../core/engine-presets.ts'
import { anyWish, type Offer } from '../core/offer.ts'
import { saveOffers } from '../store/install.ts'
import { gpuOffer, type TestWorld, testSettings, testWorld } from '../store/world-for-tests.ts'
import { createDeployment } from './deployments.ts'
import { createLaunch, planLaunch } from './launches.ts'
import { putSecret } from './secrets.ts'

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
  gated: false,
  uncertain: [],
}
const eight = { name: 'eight', engine: 'vllm' as const, source: model.id, args: {}, description: '' }
const t4: Offer = { ...gpuOffer, id: 'sky/t4', gpu: 'T4', gpuCount: 1, vramGib: 16, pricePerHourMicroUsd: 500_000 }
const l4: Offer = { ...gpuOffer, id: 'sky/l4', gpu: 'L4', gpuCount: 4, vramGib: 24, pricePerHourMicroUsd: 800_000 }

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
  know(model)
  await saveOffers(world.deps.store.db, 'local', [], world.deps.clock.now() + 1)
  await saveOffers(world.deps.store.db, 'sky', [t4, l4], world.deps.clock.now() + 1)
})
afterEach(() => world.drop())

function know(...catalog: CatalogModel[]): void {
  const engines = { vllm: { command: ['vllm'], env: {} } }
  world.deps.settings = { ...testSettings, models: [eight], catalog, engines }
}
const request = (gpu: string | null, engineArgs: EngineArguments = {}, deployment?: string) => ({
  model: 'eight',
  engineArgs,
  wish: { ...anyWish, clouds: [], regions: [], gpu },
  dryRun: false,
  ...(deployment && { deployment }),
})
const launch = (asked: ReturnType<typeof request>) => createLaunch(world.deps, world.actor, asked, null)
const launches = () => world.deps.store.db.selectFrom('launches').select('offers').execute()

test('a launch keeps only the offers that hold the model, and a plan shows why the others do not', async () => {
  const plan = await planLaunch(world.deps, world.actor, request(null))
  expect(plan.offers.map(({ id, fit }) => [id, fit?.verdict])).toEqual([
    ['sky/l4', 'fits'],
    ['sky/t4', 'does_not_fit'],
  ])
  expect(plan.pricePerHourMicroUsd).toBe(800_000)
  expect(plan.argv.join(' ')).toContain('--tensor-parallel-size 4')
  await launch(request(null))
  expect(await launches()).toEqual([{ offers: [l4] }])
})

test('a model that no wished offer holds is refused before anything is written, by launch, plan and deployment', async () => {
  const refusal = {
    code: 'model_too_large',
    status: 422,
    record: { remedy: expect.stringContaining('4 x L4 (sky/l4)') },
  }
  await expect(launch(request('T4'))).rejects.toMatchObject(refusal)
  await expect(planLaunch(world.deps, world.actor, request('T4'))).rejects.toMatchObject(refusal)
  const wanted = { name: 'd', model: 'eight', engineArgs: {}, wish: request('T4').wish, wanted: 1 }
  await expect(createDeployment(world.deps, world.actor, wanted)).rejects.toMatchObject(refusal)
  expect(await launches()).toEqual([])
})

test('a model that the catalogue does not know is launched as asked', async () => {
  know()
  await launch(request('T4'))
  expect(await launches()).toEqual([{ offers: [t4] }])
})

test('the arguments of a deployment that is named on purpose decide what fits', async () => {
  const small = { 'max-model-len': 2_048, quantization: 'bitsandbytes' }
  await launch(request('T4', small, 'd'))
  await launch(request('T4', {}, 'd'))
  await expect(launch(request('T4', {}, 'other'))).rejects.toMatchObject({ code: 'model_too_large' })
  expect(await launches()).toHaveLength(2)
})

test('a gated model is refused until there is a token', async () => {
  know({ ...model, gated: true })
  await expect(launch(request(null))).rejects.toMatchObject({
    code: 'gated_without_token',
    record: { remedy: expect.stringContaining('flightdeck secrets set HF_TOKEN') },
  })
  await putSecret(world.deps, world.actor, 'HF_TOKEN', 'hf_made_up')
  await launch(request(null))
  expect(await launches()).toHaveLength(1)
})
