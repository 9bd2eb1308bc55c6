import { expect, test } from 'vitest'
import { Undo } from './undo.ts'

test('what was started ends last first, each once, and one that fails keeps no other from its end', async () => {
  const ended: string[] = []
  const told: string[] = []
  const undo = new Undo((what, error) => told.push(`${what}: ${(error as Error).message}`))
  undo.add('first', () => void ended.push('first'))
  undo.add('second', () => Promise.reject(new Error('stuck')))
  undo.add('third', async () => void ended.push('third'))
  await undo.run()
  await undo.run()
  expect(ended).toEqual(['third', 'first'])
  expect(told).toEqual(['second: stuck'])
})
