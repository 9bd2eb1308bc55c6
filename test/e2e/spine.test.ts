import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Plane, startPlane } from './plane.ts'

let plane: Plane

beforeAll(async () => {
  plane = await startPlane({ scripts: { quick: {} } })
})
afterAll(() => plane?.end())

test('a launched model is followed, routed to, accounted for and released, and nothing is left running', async () => {
  const launch = await plane.launched('quick')
  expect(launch.state).toBe('queued')
  const live = await plane.reaches(launch.id, ['live'])
  expect(live.percent).toBe(100)
  const node = await plane.node(live)
  expect(node).toMatchObject({ state: 'ready', billed: 'yes', agentVersion: '0.1.0', model: 'quick', spot: false })
  expect(node.offer).toMatchObject({ cloud: 'local', region: 'here', gpu: null })
  // The record that the launch made is the one that the machine completed: there is no second one.
  expect((await plane.client.listNodes({})).items.map(({ id }) => id)).toEqual([node.id])

  const key = await plane.key()
  const answer = await plane.chat('quick', key)
  expect(answer.status).toBe(200)
  const streamed = await plane.chat('quick', key, { stream: true })
  const text = await streamed.text()
  expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true)

  const completed = (body: object) =>
    fetch(`${plane.gatewayUrl}/v1/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'quick', prompt: 'hello', max_tokens: 4, ...body }),
    })
  expect(await (await completed({})).json()).toMatchObject({
    object: 'text_completion',
    usage: { completion_tokens: 4 },
  })
  expect((await (await completed({ stream: true })).text()).trimEnd().endsWith('data: [DONE]')).toBe(true)

  await plane.client.releaseNode({ params: { id: node.id } })
  const ended = await plane.reaches(launch.id, ['ended'])
  expect(await plane.machines()).toEqual(new Map())
  const gone = await plane.node(ended)
  expect(gone).toMatchObject({ state: 'gone', billed: 'no' })
  expect(gone.ledger.map(({ duty }) => duty)).toEqual(['starting', 'serving', 'ending'])
  for (const [i, interval] of gone.ledger.entries()) {
    expect(interval.closedAt).not.toBeNull()
    if (i > 0) expect(interval.openedAt).toBe(gone.ledger[i - 1]?.closedAt)
  }
  expect(gone.costMicroUsd).toBeGreaterThan(0)
})
