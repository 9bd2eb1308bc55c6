import { expect, test } from 'vitest'
import { deploymentNameOf } from './deployment-name.ts'

test('any model name makes a deployment name', () => {
  expect(deploymentNameOf('Org/Big-7B')).toBe('org-big-7b')
  expect(deploymentNameOf('sim-small')).toBe('sim-small')
  expect(deploymentNameOf(`A/${'x'.repeat(96)}`)).toHaveLength(63)
})
