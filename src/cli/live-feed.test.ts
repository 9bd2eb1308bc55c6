import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeControl, token } from '../../test/fake-control.ts'
import { type FeedEvent, openFeed } from './live-feed.ts'
import { launch } from './test-views.ts'

let control: FakeControl
let stop: AbortController

beforeEach(async () => {
  control = new FakeControl()
  stop = new AbortController()
  await control.listen()
})

afterEach(async () => {
  stop.abort()
  await control.close()
})

function open(over: { token?: string; silentMs?: number } = {}) {
  const feed = openFeed({ url: control.url, token, signal: stop.signal, firstWaitMs: 1, silentMs: 5_000, ...over })
  feed.follow({ do: 'follow', topic: 'launch', id: 'la-0000000001' })
  return feed
}

/** The kinds of the events until `enough`. */
async function kinds(events: AsyncIterable<FeedEvent>, enough: (event: FeedEvent) => boolean): Promise<string[]> {
  const seen: string[] = []
  for await (const event of events) {
    seen.push(event.kind)
    if (enough(event)) break
  }
  return seen
}

test('a connection that is given up is made again, and everything is followed again', async () => {
  control.scripts.push((tell) => tell(launch()))
  control.scripts.push((tell) => tell(launch({ percent: 77 })))
  const feed = open()
  const seen = await kinds(feed.events, (event) => {
    if (event.kind === 'message' && control.connections === 1) feed.drop('for the test')
    return event.kind === 'message' && control.connections === 2
  })
  expect(seen).toEqual(['open', 'message', 'lost', 'open', 'message'])
})

test('silence is told, so that somebody can ask whether the line is dead', async () => {
  control.scripts.push(() => undefined)
  expect(await kinds(open({ silentMs: 20 }).events, ({ kind }) => kind === 'silent')).toContain('silent')
})

test('a refused token ends the feed: asking again would not help', async () => {
  expect(await kinds(open({ token: 'wrong' }).events, () => false)).toEqual(['refused'])
})

test('nobody there is told as lost, with how long already', async () => {
  const { url } = control
  await control.close()
  const feed = openFeed({ url, token, signal: stop.signal, firstWaitMs: 1 })
  const seen = await kinds(feed.events, (event) => event.kind === 'lost' && event.lostForMs > 0)
  expect(new Set(seen)).toEqual(new Set(['lost']))
  control = new FakeControl()
  await control.listen()
})

test('an abort ends the feed, also in the middle of a quiet connection', async () => {
  control.scripts.push(() => stop.abort())
  expect(await kinds(open().events, () => false)).toEqual(['open'])
})
