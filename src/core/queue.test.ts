import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { admissionOrder, fullServerOf, holdsOf, type Queued } from './queue.ts'

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

const limits = { attemptsInFlight: 4, launchServers: [{ name: 'SkyPilot', clouds: ['aws', 'gcp'], atOnce: 2 }] }
const waiting = (...clouds: (string | null)[]) => clouds.map((cloud, i) => ({ launchId: `la-${i}`, cloud }))
type Counts = [string, number][]
const holds = (clouds: (string | null)[], inFlight = 0, starting: Counts = [], waits: Counts = []) =>
  [
    ...holdsOf(waiting(...clouds), { inFlight, starting: new Map(starting), waiting: new Map(waits) }, limits).values(),
  ].map((why) => why && (/^SkyPilot works on 2 launches/.test(why) ? 'server' : /^4 launches/.test(why) ? 'turn' : why))

test('a server is given as many launches as it has workers, over all its clouds; others pass those that wait for it', () => {
  assert.deepEqual(holds(['aws', 'gcp', 'aws', 'local', null]), [null, null, 'server', null, null])
  assert.deepEqual(holds(['aws', 'gcp', 'local'], 2, [['gcp', 2]]), ['server', 'server', null])
  assert.deepEqual(holds(['aws'], 1, [['gcp', 1]]), [null])
})

test('a server that has not begun with one of ours has no worker free, whoever has them: it is given no more', () => {
  const none = 'SkyPilot has no worker free: a launch that it was given waits at place 3 of its own queue'
  const waits: Counts = [
    ['aws', 7],
    ['gcp', 3],
  ]
  assert.deepEqual(holds(['aws', 'gcp', 'local'], 1, [['gcp', 1]], waits), [none, none, null])
})

test('launches that try at the same time are bounded whatever they ask', () => {
  assert.deepEqual(holds(['local', 'local', 'aws'], 3), [null, 'turn', 'turn'])
})

test('only a server that works on as many as it should is full', () => {
  const full = (starting: Counts, cloud: string | null = 'aws') =>
    fullServerOf(cloud, { inFlight: 0, starting: new Map(starting), waiting: new Map() }, limits)?.split(' ')[0] ?? null
  assert.equal(
    full([
      ['aws', 1],
      ['gcp', 1],
    ]),
    'SkyPilot',
  )
  assert.equal(
    full([
      ['aws', 1],
      ['local', 9],
    ]),
    null,
  )
  assert.equal(full([['aws', 9]], 'local'), null)
  assert.equal(full([['aws', 9]], null), null)
})
