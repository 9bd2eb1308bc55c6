import assert from 'node:assert/strict'
import { test } from 'vitest'
import { machineMayRun } from './steps.ts'

test.each([
  ['INIT', 'Provisioning on slurm in lab', false],
  ['INIT', 'Retrying provisioning after 30s', false],
  ['INIT', 'Provision failed: Failed to acquire resources in main', false],
  ['INIT', 'Instances launched on slurm in lab', true],
  ['INIT', 'What nobody has seen before', true],
  ['INIT', null, true],
  ['UP', 'Provisioning on slurm in lab', true],
])('behind a row that is %s and last said "%s" a machine may run: %s', (status, lastEvent, may) => {
  assert.equal(machineMayRun(status, lastEvent), may)
})
