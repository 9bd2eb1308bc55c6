import { afterEach, beforeEach, expect, test } from 'vitest'
import { tellEvents } from './events.ts'
import { mostEvents, readTimeline } from './read-told.ts'
import { addNode, type TestWorld, testWorld } from './world-for-tests.ts'

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

test('a timeline that is longer than one answer may be says how much of its beginning is left out', async () => {
  const { clock, store } = world.deps
  const { nodeId } = await addNode(world, { state: 'ready' })
  const tell = (texts: readonly string[]) =>
    tellEvents(
      store.db,
      clock.now(),
      texts.map((text) => ({ kind: 'verdict', text, nodeId })),
    )
  const before = (await readTimeline(store.db, { nodeId })).length
  const texts = Array.from({ length: mostEvents - before }, (_, i) => `verdict ${i}`)
  await tell(texts)
  const whole = await readTimeline(store.db, { nodeId })
  expect(whole.map(({ text }) => text).slice(before)).toEqual(texts)
  expect(whole).toHaveLength(mostEvents)
  await tell(['one', 'two'])
  const [first, ...others] = await readTimeline(store.db, { nodeId })
  expect(first).toMatchObject({ id: 0, kind: 'left_out', text: 'Earlier events that are not shown: 2.', nodeId })
  expect(others).toHaveLength(mostEvents)
  expect(others.slice(-3).map(({ text }) => text)).toEqual([texts.at(-1), 'one', 'two'])
})
