import assert from 'node:assert/strict'
import { test } from 'vitest'
import { duties, ledgerDuty } from './ledger.ts'
import { nodeStates, nodeTable } from './node-table.ts'

test('a machine that was never seen is not billed, whatever its state', () => {
  for (const state of nodeStates) assert.equal(ledgerDuty(state, null), null, state)
})

test('a machine that was seen is billed in every state but gone, for what it does there', () => {
  const found = Object.fromEntries(nodeStates.map((state) => [state, ledgerDuty(state, 1)]))
  assert.deepEqual(found, {
    intended: 'starting',
    requesting: 'starting',
    booting: 'starting',
    loading: 'starting',
    ready: 'serving',
    draining: 'serving',
    held: 'held',
    releasing: 'ending',
    gone: null,
  })
  assert.deepEqual([...new Set(Object.values(found).filter((duty) => duty !== null))], [...duties])
})

test('whatever the table calls billed has an open interval once the machine was seen', () => {
  for (const state of nodeStates.filter((state) => nodeTable[state].billed === 'yes'))
    assert.notEqual(ledgerDuty(state, 1), null, state)
})
