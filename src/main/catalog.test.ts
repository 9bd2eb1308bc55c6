import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { figures, parametersOfShapes } from '../core/catalog.ts'
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
  for (const family of ['Llama-3.1', 'Llama-3.3', 'Qwen2.5', 'Qwen3', 'Mistral', 'Mixtral', 'gemma-2', 'gemma-3'])
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
  expect(plain.length).toBeGreaterThanOrEqual(15)
  for (const model of plain)
    expect(Math.abs((parametersOfShapes(model) ?? 0) / model.parameters - 1), model.id).toBeLessThan(0.05)
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
