import { expect, test } from 'vitest'
import { pageOf, shortly } from './target.ts'

test('what was changed leads to its page where it has one', () => {
  expect(pageOf('la-7fk2')).toBe('/launches/la-7fk2')
  expect(pageOf('no-7fk2')).toBe('/nodes/no-7fk2')
  expect(pageOf('de-7fk2')).toBe('/deployments/de-7fk2')
  for (const other of ['install', 'HF_TOKEN', 'la-../x', 'no-<b>']) expect(pageOf(other), other).toBeNull()
})

test('details are one line, and what is long is cut', () => {
  expect(shortly({ from: 1, to: 2, reason: '', name: null, wish: { gpus: ['H100'] } })).toBe(
    'from: 1, to: 2, wish: {"gpus":["H100"]}',
  )
  expect(shortly({ text: 'x'.repeat(200) })).toHaveLength(82)
})
