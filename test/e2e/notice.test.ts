import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeAwsMetadata, FakeAzureMetadata, FakeGcpMetadata, type FakeMetadata } from '../../src/sim/metadata.ts'
import type { LaunchDetail, NodeDetail } from '../../src/wire/views.ts'
import { type Plane, startPlane, until } from './plane.ts'
import { RentedMachines } from './rented-machines.ts'

let machines: RentedMachines
let plane: Plane
let services: FakeMetadata[] = []

beforeEach(() => {
  machines = new RentedMachines()
})
afterEach(async () => {
  await plane?.end()
  await machines.stop()
  for (const service of services.splice(0)) await service.close()
})

/** A control plane that rents spot machines at one cloud; each of them has a metadata service of its own. */
async function started<Service extends FakeMetadata>(cloud: string, each: readonly Service[]): Promise<void> {
  services = [...each]
  for (const service of each) machines.metadata.push(await service.listen())
  const url = await machines.start()
  machines.sky.faults.infra = [cloud]
  const rented = { nodeBin: process.execPath, onThisHost: true }
  plane = await startPlane({
    scripts: { rented: { tokensPerS: 10 } },
    config: { skypilot: { url, clouds: { [cloud]: rented } } },
  })
}

const launched = async (cloud: string): Promise<LaunchDetail> => {
  const { id } = await plane.launched('rented', {
    wish: { clouds: [cloud], gpus: ['H100'], gpuCount: 1, spot: 'only' },
  })
  return plane.reaches(id, ['live'], 60_000)
}
const shown = (id: string): Promise<NodeDetail> => plane.client.showNode({ params: { id } })
const becomes = async (id: string, what: string, holds: (node: NodeDetail) => boolean, withinMs = 30_000) => {
  let last: NodeDetail | null = null
  const look = async () => {
    last = await shown(id)
    return holds(last)
  }
  await until(
    look,
    withinMs,
    () => `${what}: ${last?.state}, ${JSON.stringify(last?.timeline.map(({ text }) => text))}`,
  )
}
const kinds = async (id: string) => (await shown(id)).timeline.map(({ kind }) => kind)
const launches = async () => (await plane.client.listLaunches({ query: {} })).items
const endsAsked = () => [...machines.sky.requests.values()].filter(({ verb }) => verb === 'sky.down').length
// From the preemption to the word of it: the bar is a second, this host may be busy.
const noticeLateMs = 5_000

/** It drained, and its end was asked for, before the moment that its cloud named. */
async function endsInside(id: string): Promise<void> {
  await becomes(id, 'it ends', ({ state }) => state === 'releasing' || state === 'gone', 40_000)
  const { timeline, notice } = await shown(id)
  const ends = timeline.find(({ kind }) => kind === 'node.releasing')
  expect(Date.parse(ends?.at ?? '')).toBeLessThan(Date.parse(notice?.takenAt ?? ''))
}

/** The gateway learns of a node a moment after it is ready. */
const answers = (key: string, otherwise: string) =>
  until(
    async () => (await plane.chat('rented', key)).status === 200,
    60_000,
    () => otherwise,
  )
const stream = async (key: string) => plane.chat('rented', key, { stream: true, max_tokens: 60 })

test('a reclaimed machine finishes its stream, is replaced, and is left to EC2 in its free first hour', async () => {
  const [aws, other] = [new FakeAwsMetadata(), new FakeAwsMetadata()]
  await started('aws', [aws, other])
  const node = await plane.node(await launched('aws'))
  const key = await plane.key()
  const inFlight = await stream(key)
  aws.action = { action: 'terminate', time: new Date(Date.now() + 120_000).toISOString() }
  await becomes(node.id, 'it drains', ({ state }) => state === 'draining')
  const text = await inFlight.text()
  expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true)
  await until(
    async () => (await launches()).length === 2,
    20_000,
    () => 'no replacement is asked for',
  )
  await becomes(node.id, 'the drain is done', ({ timeline }) => timeline.some(({ kind }) => kind === 'node.drained'))
  await answers(key, 'the replacement never serves')
  // It has drained for long by now, and nobody but EC2 has ended it.
  expect([(await shown(node.id)).state, endsAsked()]).toEqual(['draining', 0])
  for (const pid of (await plane.machines()).get(node.name) ?? []) process.kill(pid, 'SIGKILL')
  machines.sky.vanish(node.name)
  await becomes(node.id, 'it is gone', ({ state }) => state === 'gone', 60_000)
  const gone = await shown(node.id)
  expect(gone.failure?.code).toBe('reclaimed')
  // AWS charges nothing for it: what was counted stays to be seen, and is taken back.
  expect(gone.costMicroUsd).toBe(0)
  expect(gone.ledger.map(({ costMicroUsd }) => costMicroUsd).filter((cost) => cost < 0).length).toBeGreaterThan(0)
  expect(gone.timeline.filter(({ kind }) => kind === 'node.free')).toHaveLength(1)
}, 180_000)

test("another machine's event is nothing; one of its own drains it, is acknowledged, and ends it inside the notice", async () => {
  const azure = new FakeAzureMetadata()
  await started('azure', [azure])
  const node = await plane.node(await launched('azure'))
  const event = (EventId: string, name: string) => ({
    EventId,
    EventType: 'Preempt' as const,
    Resources: [name],
    EventStatus: 'Scheduled' as const,
    NotBefore: new Date(Date.now() + 30_000).toUTCString(),
  })
  azure.set(event('theirs', 'vm-1'))
  const asked = azure.asked.length
  await until(
    () => azure.asked.length > asked + 2,
    20_000,
    () => 'nobody asks',
  )
  expect((await shown(node.id)).state).toBe('ready')
  azure.set(event('theirs', 'vm-1'), event('ours', 'vm-0'))
  await endsInside(node.id)
  expect(azure.acknowledged).toEqual(['ours'])
  expect((await kinds(node.id)).filter((kind) => kind === 'node.notice')).toHaveLength(1)
}, 120_000)

test('a machine that is migrated serves on; a preempted one finishes its stream, is replaced, and ends inside the 30 s', async () => {
  const [gcp, other] = [new FakeGcpMetadata(), new FakeGcpMetadata()]
  await started('gcp', [gcp, other])
  const node = await plane.node(await launched('gcp'))
  const key = await plane.key()
  await answers(key, 'it does not serve')
  // A migration is no end of the machine.
  const asked = gcp.asked.length
  gcp.set('maintenance-event', 'MIGRATE_ON_HOST_MAINTENANCE')
  await until(
    () => gcp.asked.length > asked,
    20_000,
    () => 'nobody asks',
  )
  const inFlight = await stream(key)
  const preemptedAt = Date.now()
  gcp.set('preempted', 'TRUE')
  const taken = ({ notice }: NodeDetail) => notice?.action === 'preempted'
  await becomes(node.id, 'its notice is known', taken)
  const { notice } = await shown(node.id)
  expect(Date.parse(notice?.takenAt ?? '') - preemptedAt).toBeLessThanOrEqual(30_000 + noticeLateMs)
  expect((await inFlight.text()).trimEnd().endsWith('data: [DONE]')).toBe(true)
  await endsInside(node.id)
  expect((await shown(node.id)).failure?.code).toBe('reclaimed')
  await answers(key, 'nothing serves in its place')
  expect((await kinds(node.id)).filter((kind) => kind === 'node.notice')).toHaveLength(1)
}, 240_000)

test('a withdrawn notice brings the node back, also when the control plane was killed in between; one machine is left', async () => {
  const [aws, other] = [new FakeAwsMetadata(), new FakeAwsMetadata()]
  await started('aws', [aws, other])
  const node = await plane.node(await launched('aws'))
  aws.slides = true
  aws.action = { action: 'terminate', time: '' }
  await becomes(node.id, 'it drains', ({ state }) => state === 'draining')
  await plane.signal('SIGKILL')
  aws.action = null
  await plane.start()
  await becomes(node.id, 'the notice is withdrawn', ({ timeline }) =>
    timeline.some(({ kind }) => kind === 'node.notice_withdrawn'),
  )
  expect((await kinds(node.id)).filter((kind) => kind === 'node.notice')).toHaveLength(1)
  const alone = async () => {
    const { items } = await plane.client.listNodes({ query: {} })
    return items.length === 1 && items[0]?.state === 'ready' && (await plane.machines()).size === 1
  }
  await until(alone, 90_000, () => 'not one machine is left, which serves')
  await answers(await plane.key(), 'the node does not serve')
}, 180_000)
