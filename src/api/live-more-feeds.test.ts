import { expect, test } from 'vitest'
import type { StatusView } from '../wire/views.ts'
import type { FeedDeps } from './live-feeds.ts'
import { statusFeed } from './live-more-feeds.ts'

test('the status is told when something of it changes; that loops pass and gateways speak, every few seconds', async () => {
  let nowMs = 0
  let status = { paused: false, loops: [], gateways: [], database: {} } as unknown as StatusView
  const pass = (moved: number, seenAt: string) => {
    const loops = [{ loop: 'node', moved }]
    status = { ...status, loops, gateways: [{ id: 'gw-a', seenAt }] } as unknown as StatusView
  }
  pass(1, 'now')
  const views = { status: async () => status }
  const feed = statusFeed({ views, clock: { monotonicMs: () => nowMs } } as unknown as FeedDeps)
  expect(await feed.look()).toMatchObject({ topic: 'status', status: { paused: false } })
  pass(2, 'a second later')
  nowMs = 1_000
  expect(await feed.look()).toBeNull()
  status = { ...status, paused: true }
  expect(await feed.look()).toMatchObject({ status: { paused: true, loops: [{ moved: 2 }] } })
  pass(3, 'later still')
  expect(await feed.look()).toBeNull()
  nowMs = 4_000
  expect(await feed.look()).toMatchObject({ status: { loops: [{ moved: 3 }] } })
})
