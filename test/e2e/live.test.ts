import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LaunchState } from '../../src/core/launch-table.ts'
import type { NodeState } from '../../src/core/node-table.ts'
import { takeIn } from '../../src/wire/live.ts'
import type { NodeView } from '../../src/wire/views.ts'
import { follow } from './follow.ts'
import { type Plane, startPlane, until } from './plane.ts'

let plane: Plane

beforeAll(async () => {
  plane = await startPlane({
    scripts: { chatty: { startupMs: 1_500, accessLog: true } },
    nodeArgs: ['--import', join(import.meta.dirname, 'hourly.ts')],
  })
}, 60_000)
afterAll(() => plane?.end())

test('what becomes of a launch and of its node, and each line of its engine, is told with every timer at an hour', async () => {
  const key = await plane.key()
  const { id } = await plane.launched('chatty')
  const ofLaunch = follow(plane, { topic: 'launch', id })
  const ofFleet = follow(plane, { topic: 'fleet' })
  const launches = () => ofLaunch.heard.flatMap((message) => (message.topic === 'launch' ? [message.launch] : []))
  const nodes = () => {
    const told = new Map<string, NodeView>()
    for (const message of ofFleet.heard) if (message.topic === 'fleet') takeIn(told, message)
    return [...told.values()]
  }
  const isTold = (launch: LaunchState, node: NodeState) =>
    until(
      () =>
        launches().at(-1)?.state === launch && nodes().some(({ launchId, state }) => launchId === id && state === node),
      30_000,
      () => `nobody is told of ${launch} and ${node}: ${launches().at(-1)?.state}, ${nodes().at(-1)?.state}`,
    )
  await isTold('live', 'ready')
  const phases = new Set(launches().map(({ phase }) => phase))
  expect(phases.size).toBeGreaterThan(5)

  const nodeId = launches().at(-1)?.nodeId ?? ''
  const ofLog = follow(plane, { topic: 'log', id: nodeId })
  const lines = () => ofLog.heard.flatMap((message) => (message.topic === 'log' ? message.lines : []))
  await until(
    () => lines().length > 0,
    20_000,
    () => 'the log is not told',
  )
  const answered = () => lines().filter(({ text }) => text.includes('POST /v1/chat/completions')).length
  for (let asked = 1; asked <= 5; asked++) {
    expect((await plane.chat('chatty', key)).status).toBe(200)
    await until(
      () => answered() === asked,
      20_000,
      () => `the line of request ${asked} is not told`,
    )
  }
  const { items } = await plane.client.nodeLogs({ params: { id: nodeId }, query: { tail: 5_000 } })
  const numbers = lines().map(({ n }) => n)
  expect(numbers).toEqual(items.map(({ n }) => n).slice(-numbers.length))

  await plane.client.releaseNode({ params: { id: nodeId } })
  await isTold('ended', 'gone')
  for (const { close } of [ofLaunch, ofFleet, ofLog]) close()
}, 120_000)
