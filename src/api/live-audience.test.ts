import { expect, test } from 'vitest'
import type { FleetMessage } from '../wire/live.ts'
import type { NodeView } from '../wire/views.ts'
import { fleetAudience } from './live-audience.ts'
import { type FleetFeed, type FleetPiece, pieceNodes } from './live-fleet.ts'

const node = (i: number, inFlight = 0) => ({ id: `no-${i}`, inFlight }) as NodeView

/** A feed whose next look is the test's, and a reader that reads when the test says so. */
function world(count: number) {
  const nodes = new Map(Array.from({ length: count }, (_, i) => [`no-${i}`, node(i)]))
  let next: FleetPiece[] = []
  const feed: FleetFeed = {
    look: () => Promise.resolve(next),
    nodes: () => nodes,
    messageOf: (part) => ({ topic: 'fleet', ...part, changes: [] }),
    movesByItself: () => false,
    hears: () => false,
  }
  const heard: FleetMessage[] = []
  const waiting: (() => void)[] = []
  let hasRoom = true
  const follower = {
    send: (text: string) => void heard.push(JSON.parse(text)),
    get hasRoom() {
      return hasRoom
    },
    whenRoom: (act: () => void) => void waiting.push(act),
  }
  const audience = fleetAudience(feed)
  return {
    audience,
    follower,
    heard,
    reads: () => waiting.shift()?.(),
    fills: () => {
      hasRoom = false
    },
    /** Of nodes that are not as they were. */
    async happens(...views: NodeView[]): Promise<void> {
      for (const view of views) nodes.set(view.id, view)
      next = [
        {
          nodes: views,
          message: { topic: 'fleet', snapshot: false, left: 0, nodes: [], changes: views },
        },
      ]
      await audience.look()
    },
  }
}

test('the whole comes in pieces as fast as it is read, and each says how much is still to come', () => {
  const { audience, follower, heard, reads } = world(2 * pieceNodes + 1)
  audience.welcome(follower)
  for (let i = 0; i < 5; i++) reads()
  expect(heard.map(({ snapshot, left }) => [snapshot, left])).toEqual([
    [true, pieceNodes + 1],
    [false, 1],
    [false, 0],
  ])
  expect(new Set(heard.flatMap(({ nodes }) => nodes.map(({ id }) => id))).size).toBe(2 * pieceNodes + 1)
})

test('who reads slower than things happen is told the latest of each node, once, the longest waiting first', async () => {
  const { audience, follower, heard, reads, happens } = world(2 * pieceNodes)
  audience.welcome(follower)
  reads()
  await happens(node(0, 1), node(pieceNodes, 1))
  await happens(node(0, 2))
  reads()
  expect(heard[1]).toMatchObject({ snapshot: false, left: 0, changes: [] })
  expect(heard[1]?.nodes[0]).toEqual(node(pieceNodes, 1))
  reads()
  expect(heard[2]).toMatchObject({ left: 0, nodes: [node(0, 2)] })
  await happens(node(0, 3))
  expect(heard[3]?.changes).toEqual([node(0, 3)])
})

test('for whom there is no room nothing is put on top, though it was told all before', async () => {
  const { audience, follower, heard, reads, fills, happens } = world(1)
  audience.welcome(follower)
  reads()
  fills()
  await happens(node(0, 1))
  await happens(node(0, 2))
  expect(heard).toHaveLength(1)
  reads()
  expect(heard[1]?.nodes).toEqual([node(0, 2)])
})

test('an empty fleet is told as empty, and who left is told no more', async () => {
  const { audience, follower, heard, reads, happens } = world(0)
  audience.welcome(follower)
  audience.leave(follower)
  reads()
  audience.welcome(follower)
  reads()
  expect(heard).toEqual([{ topic: 'fleet', snapshot: true, left: 0, nodes: [], changes: [] }])
  audience.leave(follower)
  await happens(node(0))
  expect(heard).toHaveLength(1)
})
