import { expect, test } from 'vitest'
import type { FitView } from '../../src/wire/catalog.ts'
import { findModels } from './find-model.ts'
import { fitShares, fitWords, memoryWords } from './words.ts'

const fit: FitView = {
  verdict: 'fits',
  fits: true,
  gpu: 'H100',
  tensorParallel: 1,
  vramGib: 80,
  budgetGib: 73.6,
  weightsGib: 60,
  kvGib: 8,
  kvBytesPerToken: 262_144,
  overheadGib: 2,
  diskGib: 90,
  context: 32_768,
  concurrency: 1,
  maxContext: 32_768,
  maxConcurrency: 1,
  arguments: {},
  cause: null,
  remedy: null,
}

test('the bar shows weights and cache as shares of one GPU, and never more than it has', () => {
  expect(fitShares(fit)).toEqual([
    { name: 'weights', share: 0.75 },
    { name: 'cache', share: 0.1, look: 'second' },
  ])
  const shares = fitShares({ ...fit, kvGib: 500, verdict: 'fits_with_less' })
  expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeLessThanOrEqual(1)
})

test('what does not fit fills the bar, also where nothing is known of the memory', () => {
  const over = [{ name: 'too much', share: 1, look: 'over' }]
  expect(fitShares({ ...fit, verdict: 'does_not_fit', fits: false })).toEqual(over)
  expect(fitShares({ ...fit, vramGib: 0 })).toEqual(over)
})

test('the words beside the bar say the same, and by how much the context is cut', () => {
  expect(fitWords(fit)).toBe('weights 60 GiB, KV cache 8 GiB, of 80 GiB; room for 1 × 32,768 tokens')
  const less = { ...fit, verdict: 'fits_with_less' as const, tensorParallel: 2, maxContext: 16_384 }
  expect(fitWords(less)).toBe('weights 60 GiB, of 80 GiB on each of 2; 16,384 of 32,768 tokens of context fit')
  expect(fitWords({ ...fit, context: 0, verdict: 'does_not_fit' })).toBe('')
})

test('every word of a search has to occur, in whatever is told of the model', () => {
  const models = [
    { name: 'chat', source: 'Qwen/Qwen3-8B', description: 'for colleagues', card: null },
    { name: 'small', source: 'org/tiny', description: '', card: null },
  ]
  expect(findModels(models, 'qwen COLLEAGUES').map(({ name }) => name)).toEqual(['chat'])
  expect(findModels(models, '')).toHaveLength(2)
  expect(findModels(models, '<script>')).toEqual([])
})

test('what memory is needed for is told part by part', () => {
  const memory = { totalGib: 33.21, weightsGib: 14.96, kvGib: 17, overheadGib: 1.25, context: 131_072, concurrency: 1 }
  expect(memoryWords(memory)).toBe('weights 14.96, KV cache 17 for 131,072 tokens, 1.25 beside them')
  expect(memoryWords({ ...memory, concurrency: 8, context: 4_096 })).toContain('for 8 × 4,096 tokens')
})
