import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { figures, parametersOfShapes } from '../core/catalog.ts'
import { fitOf } from '../core/fit.ts'
import { readCatalogs } from './catalog.ts'
import { projectRoot, readConfig, settingsOf } from './config.ts'

const dir = mkdtempSync(join(tmpdir(), 'flightdeck-catalog-'))
afterAll(() => rmSync(dir, { recursive: true }))
const file = (name: string, text: unknown): string => {
  writeFileSync(join(dir, name), typeof text === 'string' ? text : JSON.stringify(text))
  return join(dir, name)
}

const own = join(projectRoot, 'catalog', 'models.json')
const [first] = readCatalogs([own])

test('the catalogue has the models that people serve, each once and with its card', () => {
  const models = readCatalogs([own])
  expect(models.length).toBeGreaterThanOrEqual(20)
  expect(new Set(models.map(({ id }) => id)).size).toBe(models.length)
  const older = ['Llama-3.3', 'Qwen3-', 'Mistral', 'gemma-3', 'gpt-oss']
  const newer = ['Llama-4', 'Qwen3.5', 'gemma-4', 'DeepSeek-V4', 'GLM-5', 'Kimi-K2', 'MiniMax-M2', 'Nemotron-3']
  for (const family of [...older, ...newer])
    expect(
      models.some(({ id }) => id.includes(family)),
      family,
    ).toBe(true)
})

test.each([...figures, 'id', 'card', 'kind', 'vocabulary', 'tiedEmbeddings'])(
  'an entry that leaves out its %s is refused by that name: a figure that is not certain is given and marked',
  (field) => {
    const { [field]: _, ...rest } = { ...first } as Record<string, unknown>
    expect(() => readCatalogs([file('bad.json', { models: [rest] })])).toThrow(new RegExp(`models\\[0\\]\\.${field}`))
  },
)

test('what the shapes of a plain model add up to is within a twentieth of what its card says', () => {
  const plain = readCatalogs([own]).filter(({ feedForward }) => feedForward !== null)
  expect(plain.length).toBeGreaterThanOrEqual(10)
  for (const model of plain)
    expect(Math.abs((parametersOfShapes(model) ?? 0) / model.parameters - 1), model.id).toBeLessThan(0.05)
})

// What the config.json of each adds up to, in bytes for a request of so many tokens at 16 bits.
const state = (valueHeads: number, keyHeads: number): number => {
  const inputs = 2 * keyHeads * 128 + valueHeads * 128
  return valueHeads * 128 * 128 * 4 + inputs * 3 * 2
}
const everyFourth = (full: number, perToken: number, ofOthers: number) => (tokens: number) =>
  full * tokens * perToken + 3 * full * ofOthers
test.each([
  ['Qwen/Qwen3.5-27B', everyFourth(16, 2 * 4 * 256 * 2, state(48, 16))],
  ['Qwen/Qwen3.5-35B-A3B', everyFourth(10, 2 * 2 * 256 * 2, state(32, 16))],
  ['Qwen/Qwen3.5-397B-A17B', everyFourth(15, 2 * 2 * 256 * 2, state(64, 16))],
  ['google/gemma-4-31B-it', (tokens: number) => 2 * (10 * tokens * 2 * 4 * 512 + 50 * 1_024 * 2 * 16 * 256)],
  ['google/gemma-4-26B-A4B-it', (tokens: number) => 2 * (5 * tokens * 2 * 2 * 512 + 25 * 1_024 * 2 * 8 * 256)],
  ['deepseek-ai/DeepSeek-V3.2', (tokens: number) => 61 * tokens * (576 * 2 + 132)],
  ['deepseek-ai/DeepSeek-V4-Flash', (tokens: number) => 640 * 2 * (21 * (tokens / 4) + 20 * (tokens / 128) + 43 * 128)],
])('no less than it keeps is counted as the cache of %s, and little more', (id, keeps) => {
  const model = readCatalogs([own]).find((one) => one.id === id)
  if (!model) throw new Error(`${id} is not in the catalogue`)
  const gpu = { name: 'large', gib: 10_000, capability: 9, bf16: true, fp8: true }
  const words = { context: 'max-model-len', tensorParallel: 'tensor-parallel-size' }
  const common = { gpu, count: 1, concurrency: 1_000, dtype: null, quantization: null, kvElementBytes: 2, words }
  for (const context of [32_768, 131_072]) {
    const fit = fitOf({ ...common, model, context, tensorParallel: null, pipelineParallel: 1, utilization: 0.9 })
    const counted = (fit.kvGib * 2 ** 30) / 1_000 / keeps(context)
    expect(counted).toBeGreaterThanOrEqual(0.9999)
    expect(counted).toBeLessThan(2.1)
  }
})

test('an entry of one`s own adds to the catalogue or takes the place of the one with its id', () => {
  const mine = file('mine.json', {
    models: [
      { ...first, gated: false },
      { ...first, id: 'me/mine' },
    ],
  })
  const merged = readCatalogs([own, mine])
  expect(merged).toHaveLength(readCatalogs([own]).length + 1)
  expect(merged.find(({ id }) => id === first?.id)?.gated).toBe(false)
})

test('the configuration names further files, looked up beside it', () => {
  file('mine.json', { models: [{ ...first, id: 'me/mine' }] })
  const { catalog } = settingsOf(readConfig(file('config.json', { catalogs: ['mine.json'] })))
  expect(catalog.map(({ id }) => id)).toContain('me/mine')
})

test('a file that is absent, no JSON, misspelt, impossible or doubled is refused by name', () => {
  const refused = (models: unknown[]) => () => readCatalogs([file('bad.json', { models })])
  expect(() => readCatalogs([join(dir, 'nowhere.json')])).toThrow(/nowhere\.json cannot be read/)
  expect(() => readCatalogs([file('bad.json', '{')])).toThrow(/bad\.json cannot be read/)
  expect(refused([{ ...first, lisence: 'mit' }])).toThrow(/lisence/)
  expect(refused([{ ...first, kvHeads: 7 }])).toThrow(/kvHeads must divide attentionHeads/)
  expect(refused([{ ...first, layers: 23 }])).toThrow(/parameters must be near/)
  expect(refused([first, first])).toThrow(/is there twice/)
})
