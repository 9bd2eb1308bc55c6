import { expect, test } from 'vitest'
import type { NodeView } from '../../src/wire/views.ts'
import { groupOf, narrowed, noFilters, placesOf } from './fleet-order.ts'

const node = (name: string, over: Record<string, unknown> = {}): NodeView => {
  const { cloud = 'aws', ...rest } = over
  const offer = { cloud, region: 'us-east-1', gpu: 'H100', pricePerHourMicroUsd: 1_890_000 }
  const rights = {
    id: name,
    state: 'ready',
    verdict: 'healthy',
    failure: null,
    model: 'm',
    deployment: 'd',
    billed: 'yes',
  }
  return {
    name,
    ...rights,
    statusMessage: '',
    createdAt: '2026-01-01',
    inFlight: 0,
    gpus: [],
    offer,
    ...rest,
  } as unknown as NodeView
}
const names = (nodes: readonly NodeView[]) => nodes.map(({ name }) => name).join(' ')

test('who needs a look comes first, and then who is on its way, until somebody asks for another order', () => {
  const nodes = [
    node('well'),
    node('suspect', { verdict: 'suspect', inFlight: 3 }),
    node('loads', { state: 'loading', verdict: 'unknown' }),
    node('leaves', { state: 'draining', inFlight: 9 }),
  ]
  expect(names(narrowed(nodes, noFilters))).toBe('suspect loads leaves well')
  expect(names(narrowed(nodes, { ...noFilters, by: 'load' }))).toBe('leaves suspect well loads')
  expect(names(narrowed(nodes, { ...noFilters, by: 'name', dir: 'up' }))).toBe('well suspect loads leaves')
  expect(names(narrowed(nodes, { ...noFilters, dir: 'up' }))).toBe('well leaves loads suspect')
})

test('filters narrow together, and each word that is searched for counts', () => {
  const nodes = [node('a', { cloud: 'aws' }), node('b', { cloud: 'gcp' }), node('c', { cloud: 'gcp', model: 'other' })]
  expect(names(narrowed(nodes, { ...noFilters, place: 'gcp us-east-1', model: 'm' }))).toBe('b')
  expect(names(narrowed(nodes, { ...noFilters, q: 'GCP other' }))).toBe('c')
  expect(names(narrowed(nodes, { ...noFilters, q: 'gcp nothing' }))).toBe('')
})

test('a node that is accused needs a look, whatever it does; one that is gone does not', () => {
  expect(groupOf(node('a', { state: 'draining', verdict: 'dead' }))).toBe('wrong')
  expect(groupOf(node('a', { state: 'gone', verdict: 'dead' }))).toBe('leaving')
})

test('the place with trouble is the first, and in it the node that has it', () => {
  const nodes = [node('a'), node('b'), node('c', { cloud: 'gcp' }), node('d', { cloud: 'gcp', verdict: 'suspect' })]
  const [first] = placesOf(nodes)
  expect(first?.name).toBe('gcp us-east-1')
  expect(names(first?.nodes ?? [])).toBe('d c')
  expect(first?.counts).toEqual({ wrong: 1, starting: 0, ready: 1, leaving: 0 })
})
