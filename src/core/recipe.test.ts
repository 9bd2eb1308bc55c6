import { expect, test } from 'vitest'
import { engineCommand } from './engine-command.ts'
import type { Offer } from './offer.ts'
import { builtInRecipe, builtInRecipes, installLimitMs, recipeOf, stagesFor } from './recipe.ts'
import { sourceKind } from './recipe-model.ts'
import { defaultSettings, type Settings } from './settings.ts'
import { namesMeant, stageNames } from './stage.ts'

const offer: Offer = {
  id: 'aws/us-east-1/L4',
  cloud: 'aws',
  region: 'us-east-1',
  gpu: 'L4',
  gpuCount: 1,
  vramGib: 24,
  spot: false,
  pricePerHourMicroUsd: 800_000,
  available: null,
}
const gpu = builtInRecipe('vllm')
const settings: Settings = {
  ...defaultSettings,
  models: [
    { name: 'hub', engine: 'vllm', source: 'Qwen/Qwen3-8B', args: { revision: 'v1' }, description: '' },
    { name: 'store', engine: 'vllm', source: 's3://models/qwen', args: {}, description: '' },
  ],
  engines: { vllm: { command: ['/opt/vllm', 'serve'], env: { HF_HOME: '/mine', LEVEL: '1' } } },
  recipes: { aws: { vllm: gpu }, local: { vllm: builtInRecipe('vllm-cpu') } },
}

test.each(builtInRecipes)('%s installs pinned versions in order, by argv, each stage within limits', (name) => {
  const { stages } = builtInRecipe(name)
  expect(stages.map((stage) => stage.name)).toEqual(stageNames.slice(0, 3))
  for (const stage of stages) {
    expect(stage.limitS).toBeGreaterThan(0)
    for (const { commands } of stage.ways)
      for (const [program] of commands) expect(program).toMatch(/^(uv|python3|\{env\}\/bin\/(python|uv))$/)
  }
  const wanted = JSON.stringify(stages.flatMap(({ ways }) => ways)).match(/"[a-z0-9-]+==[^"]+"/g) ?? []
  expect(wanted.length).toBeGreaterThanOrEqual(5)
})

test('another version is another recipe, down to its title', () => {
  const newer = builtInRecipe('vllm', { vllm: '0.33.0', torch: 'none' })
  expect(newer.stages[1]?.title).toBe('vLLM 0.33.0')
  expect(JSON.stringify(newer.stages[1]?.ways)).toContain('vllm==0.33.0')
})

test('the recipe of an offer is that of its cloud, and hosts that share a database share the local one', () => {
  expect(recipeOf(settings.recipes, 'vllm', offer)).toBe(gpu)
  expect(recipeOf(settings.recipes, 'sglang', offer)).toBe(null)
  expect(recipeOf(settings.recipes, 'vllm', { cloud: 'gcp' })).toBe(null)
  expect(recipeOf(settings.recipes, 'vllm', { cloud: 'local-host-a' })?.name).toBe('vllm-cpu')
})

test('with a recipe its own command is started, under what the operator gives the engine', () => {
  const here = engineCommand(settings, 'hub', {}, offer)
  expect(here.argv.slice(0, 3)).toEqual(['{env}/bin/vllm', 'serve', 'Qwen/Qwen3-8B'])
  expect(here.env).toMatchObject({ HF_HOME: '/mine', LEVEL: '1', VLLM_CACHE_ROOT: '{folder}/vllm' })
  const there = engineCommand(settings, 'hub', {}, { ...offer, cloud: 'gcp' })
  expect([there.argv[0], there.env]).toEqual(['/opt/vllm', { HF_HOME: '/mine', LEVEL: '1' }])
})

test('an object store means the streamer, wherever the engine comes from, unless somebody asks for something else', () => {
  for (const cloud of ['aws', 'gcp'])
    expect(engineCommand(settings, 'store', {}, { ...offer, cloud }).argv.join(' ')).toContain(
      '--load-format runai_streamer',
    )
  const asked = engineCommand(settings, 'store', { 'load-format': 'auto' }, offer).argv.join(' ')
  expect(asked).toMatch(/--load-format auto/)
  expect(asked).not.toContain('runai')
})

test('a source is a repository of a hub, an address in a store, or a path', () => {
  expect(['Qwen/Qwen3-8B', 'org.x/m_1.5-b'].map(sourceKind)).toEqual(['hub', 'hub'])
  expect(['s3://a/b', 'S3://a', 'gs://a/b', 'az://a/b'].map(sourceKind)).toEqual(Array(4).fill('store'))
  expect(['/models/a', './a/b', '../a', 'a', 'a/b/c', 'http://a/b'].map(sourceKind)).toEqual(Array(6).fill('path'))
})

test('the last stage fetches the model with the secrets of its place only, and values are words of their own', () => {
  const stage = (source: string, args = {}) => stagesFor(gpu, { source }, args).at(-1)
  const hub = stage('Qwen/Qwen3-8B', { revision: 'v1' })
  expect(hub).toMatchObject({ name: 'model', keeps: 'models', secrets: ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'] })
  expect(hub?.ways[0]?.commands[0]?.slice(3, 5)).toEqual(['Qwen/Qwen3-8B', 'v1'])
  expect(hub?.measures).toEqual(['{models}/hub/models--Qwen--Qwen3-8B'])
  const store = stage('s3://models/qwen')
  expect([store?.keeps, store?.secrets[0], store?.ways[0]?.commands[0]?.[3]]).toEqual([
    null,
    'AWS_*',
    's3://models/qwen',
  ])
  expect(stage('/models/qwen')).toMatchObject({ exists: '/models/qwen', ways: [] })
  expect(stage('Qwen/Qwen3-8B', { 'load-format': 'dummy' })?.name).toBe('streamer')
})

test('a name with a star means all that begin so, and none beside', () => {
  const all = ['AWS_ACCESS_KEY_ID', 'AWSX', 'HF_TOKEN', 'HF_TOKEN_2']
  expect(namesMeant(['AWS_*', 'HF_TOKEN'], all)).toEqual(['AWS_ACCESS_KEY_ID', 'HF_TOKEN'])
})

test('a machine that installs may load for longer, by the limits of its stages', () => {
  expect(installLimitMs(settings.recipes, 'aws')).toBe(1_000 * (300 + 1_200 + 300 + 1_800))
  expect(installLimitMs(settings.recipes, 'gcp')).toBe(0)
})
