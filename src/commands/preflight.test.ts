import assert from 'node:assert/strict'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { CatalogModel } from '../core/catalog.ts'
import type { EngineArguments } from '../core/engine-presets.ts'
import { failureRecord } from '../core/failure.ts'
import { anyWish, type Offer } from '../core/offer.ts'
import { at, json } from '../store/database.ts'
import { saveFailedOffers, saveOffers } from '../store/offers.ts'
import { addNode, gpuOffer, type TestWorld, testSettings, testWorld } from '../store/world-for-tests.ts'
import { createDeployment } from './deployments.ts'
import { createLaunch } from './launches.ts'
import { planLaunch } from './plan.ts'
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
  wish: { ...anyWish, clouds: [] as string[], regions: [] as string[], gpus: gpu === null ? [] : [gpu] },
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
  expect(await launches()).toEqual([{ offers: [{ ...l4, standing: null }] }])
})

test('a model that no wished offer holds is refused before anything is written, by launch and deployment; a plan shows it all the same', async () => {
  const refusal = {
    code: 'model_too_large',
    status: 422,
    record: { remedy: expect.stringContaining('4 x L4 (sky/l4)') },
  }
  await expect(launch(request('T4'))).rejects.toMatchObject(refusal)
  const wanted = { name: 'd', model: 'eight', engineArgs: {}, wish: request('T4').wish, wanted: 1 }
  await expect(createDeployment(world.deps, world.actor, wanted)).rejects.toMatchObject(refusal)
  expect(await launches()).toEqual([])
  const plan = await planLaunch(world.deps, world.actor, request('T4'))
  expect(plan.refusals).toMatchObject([{ code: refusal.code, remedy: refusal.record.remedy }])
  expect(plan.offers.map(({ id, fit }) => [id, fit?.verdict])).toEqual([['sky/t4', 'does_not_fit']])
  expect([plan.pricePerHourMicroUsd, plan.timeLimitS]).toEqual([0, 0])
})

test('a model that the catalogue does not know is launched as asked', async () => {
  know()
  await launch(request('T4'))
  expect(await launches()).toEqual([{ offers: [{ ...t4, standing: null }] }])
})

test('the arguments of a deployment that is named on purpose decide what fits', async () => {
  const small = { 'max-model-len': 2_048, quantization: 'bitsandbytes' }
  await launch(request('T4', small, 'd'))
  await launch(request('T4', {}, 'd'))
  await expect(launch(request('T4', {}, 'other'))).rejects.toMatchObject({ code: 'model_too_large' })
  expect(await launches()).toHaveLength(2)
})

test('a gated model is refused until there is a token, and its plan shows all the rest beside the refusal', async () => {
  know({ ...model, gated: true })
  await expect(launch(request(null))).rejects.toMatchObject({
    code: 'gated_without_token',
    record: { remedy: expect.stringContaining('flightdeck secrets set HF_TOKEN') },
  })
  const planned = () => planLaunch(world.deps, world.actor, request(null))
  const without = await planned()
  expect(without).toMatchObject({ hubToken: 'missing', refusals: [{ code: 'gated_without_token' }] })
  expect(without.offers.map(({ id }) => id)).toEqual(['sky/l4', 'sky/t4'])
  expect(without.pricePerHourMicroUsd).toBe(800_000)
  await putSecret(world.deps, world.actor, 'HF_TOKEN', 'hf_made_up')
  expect(await planned()).toMatchObject({ hubToken: 'set', refusals: [] })
  await launch(request(null))
  expect(await launches()).toHaveLength(1)
})

test('what a cloud refused lately is tried last by the next launch, is told why, and is forgotten with time', async () => {
  const { deps, actor } = world
  const { launchId, nodeId } = await addNode(world, { offer: l4, state: 'gone', model: 'eight' })
  const { db } = deps.store
  const refusal = json(failureRecord('no_capacity', 'There is no capacity there.'))
  await db.updateTable('nodes').set({ failure: refusal }).where('id', '=', nodeId).execute()
  const closed = { closed_at: at(deps.clock.now()), outcome: 'failed' as const, failure: refusal }
  await db.updateTable('attempts').set(closed).where('launch_id', '=', launchId).execute()
  const h100: Offer = { ...l4, id: 'sky/h100', gpu: 'H100', gpuCount: 1, vramGib: 80, pricePerHourMicroUsd: 1_000_000 }
  await saveOffers(db, 'sky', [l4, h100], deps.clock.now() + 2)
  const order = async () =>
    (await planLaunch(deps, actor, request(null))).offers.map(({ id, standing }) => [id, standing])
  const refusedAt = deps.clock.now()
  expect(await order()).toEqual([
    ['sky/h100', null],
    ['sky/l4', { factor: 2, refusals: 1, refusedAt, refusedFor: 'no_capacity', gaveAt: null }],
  ])
  await launch(request(null))
  const kept = await db.selectFrom('launches').select('offers').where('id', '<>', launchId).executeTakeFirstOrThrow()
  expect(kept.offers.map(({ id }) => id)).toEqual(['sky/h100', 'sky/l4'])
  deps.clock.pass(3 * 3_600_000)
  expect(await order()).toEqual([
    ['sky/l4', null],
    ['sky/h100', null],
  ])
})

test('a launch in a cloud that cannot be used now is refused with what to do, and a plan elsewhere tells nothing of it', async () => {
  const { deps, actor } = world
  const { db } = deps.store
  const failure = failureRecord('cloud_credentials', 'aws is not enabled.', { remedy: 'Run `sky check aws`.' })
  await saveFailedOffers(db, 'aws', failure, { refused: true }, deps.clock.now())
  const inCloud = (cloud: string) => ({
    ...request(null),
    wish: { ...anyWish, clouds: [cloud], regions: [], gpus: [] },
  })
  await expect(launch(inCloud('aws'))).rejects.toMatchObject({
    record: { code: 'no_offer_fits', cause: expect.stringContaining('aws is not enabled'), remedy: failure.remedy },
  })
  expect(await launches()).toEqual([])
  expect((await planLaunch(deps, actor, inCloud('sky'))).clouds.map(({ cloud }) => cloud)).toEqual(['sky'])
  expect((await planLaunch(deps, actor, inCloud('aws'))).refusals).toMatchObject([{ code: 'no_offer_fits' }])
  const { clouds } = await planLaunch(deps, actor, request(null))
  expect(clouds.map((read) => [read.cloud, read.failure?.code ?? null])).toEqual([
    ['aws', 'cloud_credentials'],
    ['local', null],
    ['sky', null],
  ])
})

test('a plan says whether the wanted context and concurrency fit', async () => {
  const planned = async (concurrency?: number) => {
    const asked = { ...request('L4', { 'max-model-len': 16_384 }), ...(concurrency && { concurrency }) }
    const [offer] = (await planLaunch(world.deps, world.actor, asked)).offers
    return offer?.fit ?? assert.fail()
  }
  const one = await planned()
  expect([one.verdict, one.concurrency, one.context]).toEqual(['fits', 1, 16_384])
  const most = await planned(one.maxConcurrency)
  expect([most.verdict, most.kvGib]).toEqual(['fits', expect.closeTo(one.kvGib * one.maxConcurrency, 0)])
  const more = await planned(one.maxConcurrency + 1)
  expect([more.verdict, more.fits]).toEqual(['fits_with_less', true])
  expect(more.failure?.cause).toMatch(/has room for/)
})
