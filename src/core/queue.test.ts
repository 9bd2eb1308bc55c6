import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { admissionOrder, type Queued } from './queue.ts'

const owners = ['ada', 'bob', 'eve']
const queues = fc.uniqueArray(
  fc.record({ launchId: fc.uuid(), owner: fc.constantFrom(...owners), queuedAt: fc.integer({ min: 0, max: 20 }) }),
  { selector: ({ launchId }) => launchId, maxLength: 30 },
)
const loads = fc.dictionary(fc.constantFrom(...owners), fc.integer({ min: 0, max: 5 }))

/** Runs the property over random queues; each is told with its order and the load that each owner begins with. */
function always(check: (queued: Queued[], order: Queued[], load: Map<string, number>) => void): void {
  fc.assert(
    fc.property(queues, loads, (queued, byOwner) => {
      const load = new Map(Object.entries(byOwner))
      const entryOf = new Map(queued.map((entry) => [entry.launchId, entry]))
      const order = admissionOrder(queued, load).map((id) => entryOf.get(id) as Queued)
      check(queued, order, load)
    }),
  )
}

test('nobody is lost from the queue and nobody is in it twice', () => {
  always((queued, order) => assert.deepEqual([...order].sort(byId), [...queued].sort(byId)))
})

test('within an owner, first come is first served', () => {
  always((_, order) => {
    for (const owner of owners) {
      const times = order.filter((entry) => entry.owner === owner).map(({ queuedAt }) => queuedAt)
      assert.deepEqual(
        times,
        [...times].sort((a, b) => a - b),
      )
    }
  })
})

test('at every admission the owner has the fewest attempts in flight of all who still wait', () => {
  always((_, order, load) => {
    for (const [place, { owner }] of order.entries()) {
      const mine = load.get(owner) ?? 0
      for (const other of order.slice(place)) assert.ok(mine <= (load.get(other.owner) ?? 0))
      load.set(owner, mine + 1)
    }
  })
})

test('an owner with one launch is not held up by another with a hundred', () => {
  const many = Array.from({ length: 100 }, (_, i) => ({ launchId: `many${i}`, owner: 'ada', queuedAt: i }))
  const order = admissionOrder([...many, { launchId: 'one', owner: 'bob', queuedAt: 1_000 }], new Map())
  assert.equal(order.indexOf('one'), 1)
})

test('the order does not depend on the order of the rows', () => {
  always((queued, order, load) => {
    const reversed = admissionOrder([...queued].reverse(), load)
    assert.deepEqual(
      reversed,
      order.map(({ launchId }) => launchId),
    )
  })
})

const byId = (a: Queued, b: Queued): number => (a.launchId < b.launchId ? -1 : 1)
