import { expect, test } from 'vitest'
import { chosenRecipes, recipesConfig } from './recipes-config.ts'

const choose = (over: Partial<Parameters<typeof chosenRecipes>[0]>) =>
  chosenRecipes({ recipes: {}, engines: {}, clouds: {}, ...over })

test('a rented machine gets the GPU recipe unless its image or a command brings the engine; this host gets none', () => {
  expect(choose({ clouds: { aws: {} } })).toMatchObject({ local: {}, aws: { vllm: { name: 'vllm' } } })
  expect(choose({ clouds: { aws: { image: 'docker:a' } } })).toEqual({ local: {}, aws: {} })
  expect(choose({ clouds: { aws: {} }, engines: { vllm: { command: ['vllm'] } } })).toEqual({ local: {}, aws: {} })
  expect(choose({ clouds: { aws: { recipe: 'none' } } })).toEqual({ local: {}, aws: {} })
  const both = { clouds: { aws: { image: 'docker:python', recipe: 'vllm-cpu' } } }
  expect(choose(both)).toMatchObject({ aws: { vllm: { name: 'vllm-cpu' } } })
})

test('this host installs what its engine names', () => {
  expect(choose({ engines: { vllm: { recipe: 'vllm-cpu' } } })).toMatchObject({ local: { vllm: { name: 'vllm-cpu' } } })
})

test('a recipe that is not there, of another engine or beside a command is refused by the field that names it', () => {
  expect(() => choose({ clouds: { aws: { recipe: 'vlm' } } })).toThrow(
    /skypilot\.clouds\.aws\.recipe: there is no recipe "vlm"; there are: none, vllm, vllm-cpu/,
  )
  expect(() => choose({ engines: { sglang: { recipe: 'vllm' } } })).toThrow(/local\.engines\.sglang.*installs vllm/)
  expect(() => choose({ engines: { vllm: { recipe: 'vllm', command: ['x'] } } })).toThrow(
    /either a command or a recipe/,
  )
})

test('one of the operator changes versions and folder of a base, and adds stages after it', () => {
  const stage = { stage: 'engine', title: 'a plugin', commands: [['{env}/bin/uv', 'pip', 'install', 'x==1.0']] }
  const recipes = recipesConfig.parse({
    mine: { base: 'vllm', version: '0.33.0', folder: '/scratch/recipes', env: { A: 'b' }, stages: [stage] },
  })
  const { vllm } = choose({ recipes, clouds: { aws: { recipe: 'mine' } } })['aws'] ?? {}
  expect(vllm).toMatchObject({ name: 'mine', folder: '/scratch/recipes', command: ['{env}/bin/vllm', 'serve'] })
  expect(vllm?.stages.map(({ title }) => title)).toEqual([
    'Python environment',
    'vLLM 0.33.0',
    'Run:ai model streamer 0.17.0',
    'a plugin',
  ])
  expect(vllm?.env).toMatchObject({ A: 'b', HF_HOME: '{models}' })
})

test('one from nothing names its engine, command and stages', () => {
  const stages = [{ stage: 'engine', title: 'SGLang', commands: [['pip', 'install', 'sglang==0.6.0']], limitMin: 5 }]
  const recipes = recipesConfig.parse({ own: { engine: 'sglang', command: ['sglang'], stages } })
  const { sglang } = choose({ recipes, engines: { sglang: { recipe: 'own' } } })['local'] ?? {}
  expect(sglang).toMatchObject({ command: ['sglang'], fetchesModels: false, stages: [{ limitS: 300, keeps: 'env' }] })
})

test.each([
  ['both', { base: 'vllm', engine: 'vllm' }, /either base or engine/],
  ['no command', { engine: 'vllm' }, /command and stages are needed/],
  ['torch', { base: 'vllm', torch: '2.13.0' }, /torch is named by the GPU build/],
  ['folder', { base: 'vllm', folder: 'here' }, /absolute path/],
  ['version', { base: 'vllm', version: '--index-url=x' }, /a version/],
])('what cannot be meant is refused: %s', (_, recipe, words) => {
  expect(() => recipesConfig.parse({ mine: recipe })).toThrow(words)
})

test('the names of the built-in recipes cannot be taken', () => {
  expect(() => recipesConfig.parse({ none: { base: 'vllm' } })).toThrow(/are taken/)
})
