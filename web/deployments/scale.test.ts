import { expect, test } from 'vitest'
import { mostReplicas, routes } from '../../src/wire/routes.ts'
import { replicasOf, whatScalingDoes } from './scale.ts'

test('what may be typed is what the API takes', () => {
  const takes = (wanted: number) => routes.scaleDeployment.body?.safeParse({ wanted }).success
  for (const typed of ['0', ' 7 ', '1000']) {
    const read = replicasOf(typed)
    expect('wanted' in read && takes(read.wanted), typed).toBe(true)
  }
  expect(takes(mostReplicas + 1)).toBe(false)
  for (const typed of ['', '-1', '1.5', '1001', '1e2', 'two']) expect(replicasOf(typed), typed).toHaveProperty('wrong')
})

test('scaling says what it starts or ends before it does', () => {
  const now = { wanted: 2, ready: 2 }
  expect(whatScalingDoes(now, 2)).toMatch(/^Nothing changes/)
  expect(whatScalingDoes(now, 3)).toMatch(/^One machine will be asked for/)
  expect(whatScalingDoes(now, 1)).toMatch(/^One machine will be given back.*finish\.$/)
  expect(whatScalingDoes(now, 0)).toMatch(/^2 machines will be given back.*Nothing serves/)
})
