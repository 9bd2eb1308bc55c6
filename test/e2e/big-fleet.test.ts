import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type FleetPlane, startFleetPlane } from '../../bench/fleet-plane.ts'
import { takeIn } from '../../src/wire/live.ts'
import type { NodeView } from '../../src/wire/views.ts'
import { type Followed, follow } from './follow.ts'
import { layNarrowLine, type NarrowLine } from './narrow-line.ts'
import { until } from './plane.ts'

const nodes = 3_000
let plane: FleetPlane
const lines: NarrowLine[] = []
const followers: Followed[] = []

beforeAll(async () => {
  plane = await startFleetPlane(nodes, 1, true)
}, 120_000)
afterEach(async () => {
  for (const { close } of followers.splice(0)) close()
  for (const line of lines.splice(0)) await line.close()
})
afterAll(() => plane?.end())

const topics = ['status', 'fleet', 'launches', 'changed'].map((topic) => ({ topic }))

/** Follows what the page of the fleet follows. */
function reader(url = plane.url): Followed {
  const one = follow({ url, token: plane.adminToken }, ...topics)
  followers.push(one)
  return one
}

/** What a reader was told of the fleet so far, put together. */
function fleetOf({ heard }: Followed) {
  const nodes = new Map<string, NodeView>()
  let taken = 0
  return {
    messages: () => heard.filter((message) => message.topic === 'fleet'),
    nodes() {
      for (const message of heard.slice(taken)) if (message.topic === 'fleet') takeIn(nodes, message)
      taken = heard.length
      return nodes
    },
  }
}

const drain = (...ids: string[]) => Promise.all(ids.map((id) => plane.client.drainNode({ params: { id } })))
const isToldDrained = (nodes: ReadonlyMap<string, NodeView>, ...ids: string[]) =>
  ids.every((id) => nodes.get(id)?.actions.includes('drain') === false)

test('thousands of nodes reach a reader of one megabyte a second whole and in step, and its connection stands', async () => {
  const line = await layNarrowLine(plane.url, 1_000_000)
  lines.push(line)
  const slow = reader(line.url)
  const fleet = fleetOf(slow)
  const left = () => fleet.messages().at(-1)?.left
  await until(
    () => left() !== undefined,
    30_000,
    () => `nothing of the fleet is told: ${slow.closed()}`,
  )
  const [begins] = fleet.messages()
  expect(begins).toMatchObject({ snapshot: true })
  expect(begins?.left).toBeGreaterThan(nodes / 2)
  const ends = ['no-b1', `no-b${nodes}`]
  await drain(...ends)
  await until(
    () => left() === 0 && isToldDrained(fleet.nodes(), ...ends),
    60_000,
    () => `${left()} are left, ${ends.map((id) => JSON.stringify(fleet.nodes().get(id)))}; ${slow.closed()}`,
  )
  expect(fleet.nodes().size).toBe(nodes + 1)
  expect(fleet.messages().filter(({ snapshot }) => snapshot)).toHaveLength(1)
  expect(slow.closed()).toBeNull()
}, 120_000)

const residentMib = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${plane.child.pid}/status`, 'utf8'))?.[1]) / 1_024

test('sixty readers that stop reading cost the control plane no sixty copies of the fleet, and no other reader its news', async () => {
  const before = residentMib()
  const stalled = Array.from({ length: 60 }, () => reader())
  await until(
    () => stalled.every(({ heard }) => heard.length > 0),
    60_000,
    () => 'not all are greeted',
  )
  for (const { stop } of stalled) stop()
  const fleet = fleetOf(reader())
  await drain('no-b7')
  await until(
    () => isToldDrained(fleet.nodes(), 'no-b7'),
    60_000,
    () => 'who reads is not told',
  )
  expect(residentMib() - before).toBeLessThan(120)
}, 120_000)
