import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { saveOffers } from '../store/offers.ts'
import { enterPhase } from '../store/phases.ts'
import { offer, startTestApi, type TestApi } from './api-for-tests.ts'
import { Follower, greetedBy } from './live-for-tests.ts'

let at: TestApi
const open: Follower[] = []

beforeAll(async () => {
  at = await startTestApi()
})
afterEach(() => {
  for (const follower of open.splice(0)) follower.socket.terminate()
})
afterAll(() => at?.end())

function greeted(): Promise<Follower> {
  const follower = new Follower(at)
  open.push(follower)
  return greetedBy(follower, at.tokens.viewer)
}

test('launches come whole, and then only those that changed: a new one, and each step of it', async () => {
  const past = await at.node({ state: 'ready', launchState: 'live' })
  const follower = await greeted()
  follower.say({ do: 'follow', topic: 'launches' })
  const whole = await follower.hears('launches')
  expect([whole.snapshot, whole.launches.map(({ id }) => id)]).toEqual([true, expect.arrayContaining([past.launchId])])
  const { launchId, nodeId } = await at.node()
  await follower.hears('launches', ({ launches }) =>
    launches.some(({ id, state }) => id === launchId && state === 'attempting'),
  )
  await enterPhase(at.deps.store.db, nodeId, 'booting', Date.now())
  const step = await follower.hears('launches', ({ launches }) =>
    launches.some(({ id, phase }) => id === launchId && phase === 'booting'),
  )
  expect(step.snapshot).toBe(false)
  expect(step.launches.map(({ id }) => id)).not.toContain(past.launchId)
})

test('what waits in the queue moves up when one before it goes', async () => {
  const [first, second] = [await at.launch(), await at.launch()]
  const follower = await greeted()
  follower.say({ do: 'follow', topic: 'launches' })
  const places = (await follower.hears('launches')).launches
  const placeOf = (id: string) => places.find((launch) => launch.id === id)?.queuePlace ?? 0
  expect(placeOf(second)).toBeGreaterThan(placeOf(first))
  await at.client.cancelLaunch({ params: { id: first } })
  await at.deps.store.db
    .updateTable('launches')
    .set({ state: 'cancelled', holds_slot: false })
    .where('id', '=', first)
    .execute()
  await follower.hears('launches', ({ snapshot, launches }) =>
    launches.some(({ id, queuePlace }) => !snapshot && id === second && queuePlace === placeOf(second) - 1),
  )
})

test('deployments come whole, and again when they are scaled, paused, or a node of theirs gets ready', async () => {
  const follower = await greeted()
  follower.say({ do: 'follow', topic: 'deployments' })
  expect((await follower.hears('deployments')).snapshot).toBe(true)
  const { id } = await at.client.createDeployment({ body: { name: 'watched', model: 'tiny', wanted: 0 } })
  const hears = (fits: (one: { wanted: number; paused: boolean }) => boolean) =>
    follower.hears('deployments', ({ deployments }) => deployments.some((one) => one.id === id && fits(one)))
  await hears(({ wanted }) => wanted === 0)
  await at.client.scaleDeployment({ params: { id }, body: { wanted: 2 } })
  await hears(({ wanted }) => wanted === 2)
  await at.client.pauseDeployment({ params: { id }, body: { paused: true } })
  await hears(({ paused }) => paused)
  const before = (await at.client.listDeployments()).items.find(({ name }) => name === 'tiny')?.ready ?? 0
  await at.node({ state: 'ready', launchState: 'live' })
  await follower.hears('deployments', ({ deployments }) =>
    deployments.some(({ name, ready }) => name === 'tiny' && ready === before + 1),
  )
})

test('one node comes with its ledger and timeline, and again when it changes', async () => {
  const { nodeId } = await at.node({ state: 'ready', launchState: 'live' })
  const follower = await greeted()
  follower.say({ do: 'follow', topic: 'node', id: nodeId })
  const { node } = await follower.hears('node')
  expect(node).toMatchObject({ id: nodeId, ledger: expect.any(Array), timeline: expect.any(Array) })
  await at.client.holdNode({ params: { id: nodeId }, body: { forS: 60 } })
  await follower.hears('node', (told) => told.node.hold !== null)
  follower.say({ do: 'follow', topic: 'node', id: 'no-such' })
  await follower.hears('error', ({ code }) => code === 'not_found')
})

test('the pause is told at once to whoever follows the status, whole with loops', async () => {
  const [one, two] = [await greeted(), await greeted()]
  for (const follower of [one, two]) {
    follower.say({ do: 'follow', topic: 'status' })
    expect((await follower.hears('status')).status).toMatchObject({ paused: false, loops: expect.any(Array) })
  }
  await at.client.pause({ body: { paused: true, reason: 'a test' } })
  for (const follower of [one, two]) {
    const { status } = await follower.hears('status', (told) => told.status.paused)
    expect(status.pausedReason).toBe('a test')
  }
  await at.client.pause({ body: { paused: false } })
})

test('kinds of things that are rarely changed are named when they are', async () => {
  const follower = await greeted()
  follower.say({ do: 'follow', topic: 'changed' })
  expect((await follower.hears('changed')).what).toEqual([])
  const { id } = await at.client.createKey({ body: { name: 'told-of' } })
  await follower.hears('changed', ({ what }) => what.includes('key'))
  await at.client.createOperator({ body: { name: 'told-of', role: 'viewer' } })
  await follower.hears('changed', ({ what }) => what.includes('operator'))
  await at.client.putSecret({ params: { id: 'TOLD_OF' }, body: { value: 'canary' } })
  await follower.hears('changed', ({ what }) => what.includes('secret'))
  await saveOffers(at.deps.store.db, 'local', [offer], Date.now())
  await follower.hears('changed', ({ what }) => what.includes('offer'))
  expect(JSON.stringify(follower.heard)).not.toMatch(new RegExp(`${id}|canary`))
})

test('whoever connects again and follows anew gets all that happened meanwhile', async () => {
  const { nodeId } = await at.node({ state: 'ready', launchState: 'live' })
  const before = await greeted()
  for (const topic of ['fleet', 'launches', 'deployments']) before.say({ do: 'follow', topic })
  await before.hears('fleet')
  before.socket.terminate()
  await at.client.drainNode({ params: { id: nodeId } })
  const launch = await at.launch()
  const after = await greeted()
  for (const topic of ['fleet', 'launches', 'deployments']) after.say({ do: 'follow', topic })
  const fleet = await after.hears('fleet', ({ snapshot }) => snapshot)
  expect(fleet.nodes.find(({ id }) => id === nodeId)?.actions).not.toContain('drain')
  const launches = await after.hears('launches', ({ snapshot }) => snapshot)
  expect(launches.launches.map(({ id }) => id)).toContain(launch)
})
