import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { type Plane, startPlane } from '../e2e/plane.ts'
import { type FakeHub, fakeHub } from './fake-hub.ts'
import { startStore, storeEnv, storeKeys, storePort } from './store-server.ts'

const minutes = 60_000
// Not bfloat16: a virtual processor may name AMX, which vLLM then computes with, and not let it be used.
const args = { dtype: 'float32', 'max-model-len': 1_024, 'max-num-seqs': 16, 'enforce-eager': true }
const tiny = join(import.meta.dirname, '../../rig/vllm-cpu/tiny.py')

let plane: Plane
let hub: FakeHub
let port: number
let home: string

const recipes = () => join(plane.dir, 'local', 'recipes')
const envFolder = () => join(recipes(), readdirSync(recipes()).find((name) => /^env-\w+$/.test(name)) ?? '')
const tinyFolder = () => join(recipes(), 'models', 'tiny')

/** Packages that this machine has downloaded before are linked from uv's cache; without one they are downloaded. */
function packageCache(): Record<string, string> {
  const cache = process.env.UV_CACHE_DIR ?? join(homedir(), '.cache', 'uv')
  return existsSync(cache) ? { UV_CACHE_DIR: cache } : {}
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'fd-home-'))
  mkdirSync(join(home, 'tmp'))
  hub = await fakeHub(tinyFolder)
  port = await storePort()
  const stages = [
    {
      stage: 'model',
      title: 'the tiny model',
      keeps: 'models',
      commands: [['{env}/bin/python', tiny, '{models}/tiny']],
      env: { HF_HUB_OFFLINE: '1' },
    },
  ]
  const env = { HF_ENDPOINT: hub.url, ...storeEnv(port), DO_NOT_TRACK: '1' }
  const own = { HOME: home, TMPDIR: join(home, 'tmp'), ...packageCache() }
  const sources = {
    path: '{models}/tiny',
    hub: 'lab/tiny',
    gated: 'lab/gated',
    store: 's3://models/tiny',
    absent: 's3://none/x',
  }
  plane = await startPlane({
    local: { env: own, engines: { vllm: { recipe: 'tiny', env } } },
    config: {
      launch: { rounds: 1, triesPerOffer: 1 },
      recipes: { tiny: { base: 'vllm-cpu', stages } },
      models: Object.entries(sources).map(([name, source]) => ({ name, engine: 'vllm', source, args })),
    },
  })
})
afterAll(async () => {
  await plane?.end()
  await hub?.close()
  rmSync(home, { recursive: true, force: true })
})

/** One token through the gateway, then the node is given back, and nothing of it runs. */
async function servesAndGoes(launch: LaunchDetail): Promise<void> {
  const response = await plane.chat(launch.model, await plane.key(launch.model), { max_tokens: 1 })
  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({ usage: { completion_tokens: 1 } })
  await plane.client.releaseNode({ params: { id: (await plane.node(launch)).id } })
  await plane.reaches(launch.id, ['ended'], minutes)
  expect(await plane.machines()).toEqual(new Map())
}

const phaseOf = (launch: LaunchDetail, name: string) => launch.phases.find(({ phase }) => phase === name)
const tookMs = (launch: LaunchDetail, name: string) => {
  const { startedAt = '', endedAt = '' } = phaseOf(launch, name) ?? {}
  return Date.parse(endedAt ?? '') - Date.parse(startedAt)
}

test('into an empty folder a real vLLM is installed in stages, serves a token, and is given back without a trace', async () => {
  const launch = await plane.launched('path')
  const live = await plane.reaches(launch.id, ['live'], 15 * minutes)
  for (const phase of ['python_install', 'engine_install', 'streamer_install'])
    expect(phaseOf(live, phase)).toMatchObject({ percent: 100, endedAt: expect.any(String) })
  // 6.2 GB on the disk, whether linked or downloaded.
  expect(phaseOf(live, 'engine_install')?.bytes).toBeGreaterThan(4e9)
  expect(phaseOf(live, 'engine_install')?.bytesPerS).toBeGreaterThan(1e6)
  console.log(`vLLM was installed in ${tookMs(live, 'engine_install')} ms`)
  await servesAndGoes(live)
  for (const folder of ['.cache', '.config']) expect(existsSync(join(home, folder))).toBe(false)
})

test('a model of the hub is fetched into the cache that the engine reads, and the hub is told of no other place', async () => {
  const launch = await plane.launched('hub')
  const live = await plane.reaches(launch.id, ['live'], 6 * minutes)
  expect(live.phases.map(({ phase }) => phase)).not.toContain('engine_install')
  expect(phaseOf(live, 'model_fetch')).toMatchObject({ percent: 100 })
  expect(phaseOf(live, 'model_fetch')?.bytes).toBeGreaterThan(700_000)
  const fetched = hub.asked.filter((line) => line.startsWith('GET') && line.endsWith('model.safetensors'))
  expect(fetched).toHaveLength(1)
  await servesAndGoes(live)
})

test('a gated model without a token, and with one that is not let in, end the launch with the remedy', async () => {
  const without = await plane.reaches((await plane.launched('gated')).id, ['failed'], 3 * minutes)
  expect(without.failure).toMatchObject({ code: 'gated_without_token', retry: 'never' })
  await plane.client.putSecret({ params: { id: 'HF_TOKEN' }, body: { value: 'hf_stranger' } })
  const stranger = await plane.reaches((await plane.launched('gated')).id, ['failed'], 3 * minutes)
  expect(stranger.failure).toMatchObject({ code: 'token_refused', retry: 'never' })
  expect(JSON.stringify(stranger)).not.toContain('hf_stranger')
  await plane.client.deleteSecret({ params: { id: 'HF_TOKEN' } })
})

test('a model in an object store is streamed by the engine, and a bucket that is not there is told before it starts', async () => {
  const store = await startStore(envFolder(), plane.dir, port, packageCache())
  try {
    await store.fill('models', 'tiny', tinyFolder())
    for (const [name, value] of Object.entries(storeKeys))
      await plane.client.putSecret({ params: { id: name }, body: { value } })
    const absent = await plane.reaches((await plane.launched('absent')).id, ['failed'], 3 * minutes)
    expect(absent.failure).toMatchObject({ code: 'bucket_not_found', retry: 'never' })
    expect(absent.phases.map(({ phase }) => phase)).not.toContain('engine_start')
    const launch = await plane.launched('store')
    const live = await plane.reaches(launch.id, ['live'], 6 * minutes)
    const { lines } = await plane.client.transcript({ params: { id: launch.id } })
    expect(lines.some(({ text }) => /Runai Model Streamer/i.test(text))).toBe(true)
    expect(JSON.stringify(lines)).not.toContain(storeKeys.AWS_SECRET_ACCESS_KEY)
    await servesAndGoes(live)
  } finally {
    await store.close()
  }
})
