import { existsSync, readFileSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signalProcess } from '../../src/clouds/local/processes.ts'
import { agentProtocol } from '../../src/core/agent-protocol.ts'
import { makeClient } from '../../src/wire/client.ts'
import type { NodeDetail } from '../../src/wire/views.ts'
import { PlaneClock } from './clock.ts'
import { ledgerIsWhole, type Plane, startPlane, until } from './plane.ts'
import { RentedMachines } from './rented-machines.ts'

// Past the usual wait between two looks at a cloud, so that each jump brings one.
const lookMs = 31_000
const silentMs = 10 * 60_000
const loops = ['health', 'node', 'sight']

const machines = new RentedMachines()
const clock = new PlaneClock()
let plane: Plane
let key: string
let launchId: string
let nodeId: string
let name: string

beforeAll(async () => {
  const slurm = { nodeBin: process.execPath, onThisHost: true }
  plane = await startPlane({
    scripts: { rented: {} },
    config: { graceS: 1, skypilot: { url: await machines.start(), clouds: { slurm } } },
    nodeArgs: clock.nodeArgs,
  })
  const launch = await plane.launched('rented', { wish: { clouds: ['slurm'], gpus: ['H100'], gpuCount: 1 } })
  const node = await plane.node(await plane.reaches(launch.id, ['live'], 90_000))
  ;[launchId, nodeId, name] = [launch.id, node.id, node.name]
  key = await plane.key()
}, 180_000)
afterAll(async () => {
  await plane?.end()
  await machines.stop()
  clock.end()
})

const shown = (): Promise<NodeDetail> => plane.client.showNode({ params: { id: nodeId } })

/** Time passes for the control plane, and every loop works by the new time. */
const timePasses = (ms: number): Promise<void> => clock.pass(plane, ms, loops)

/** A heartbeat has come by the new time, as it would in any real time. */
async function agentSpeaks(): Promise<void> {
  const from = Date.now() + clock.aheadMs
  const spoke = async () => Date.parse((await shown()).signals.heartbeat.at ?? '') > from
  await until(spoke, 30_000, () => 'the agent is silent')
}

async function nothingWasDone(): Promise<void> {
  expect((await plane.chat('rented', key)).status).toBe(200)
  expect(await shown()).toMatchObject({ state: 'ready', billed: 'yes', failure: null })
  const { items } = await plane.client.listLaunches({})
  expect(items.map(({ id, state }) => [id, state])).toEqual([[launchId, 'live']])
  const { sky } = machines
  const asked = [...sky.requests.values()].filter(({ verb }) => verb === 'sky.launch' || verb === 'sky.down')
  expect(asked.map(({ verb }) => verb)).toEqual(['sky.launch'])
}

test('a cloud that says nothing for ten minutes: its node serves on, nothing is launched or released, and the status names the cloud', async () => {
  expect((await plane.client.status()).silentClouds).toEqual([])
  machines.sky.faults.away = true
  await timePasses(silentMs)
  await until(
    async () => (await plane.client.status()).silentClouds.length === 1,
    60_000,
    () => 'the status says nothing',
  )
  await timePasses(lookMs)
  const [silent] = (await plane.client.status()).silentClouds
  expect(silent).toMatchObject({ name: 'slurm', problem: expect.stringMatching(/./) })
  expect(Date.now() + clock.aheadMs - Date.parse(silent?.lookedAt ?? '')).toBeGreaterThan(silentMs)
  expect((await shown()).signals.sighting.value).toBe('unknown')
  await nothingWasDone()

  machines.sky.faults.away = false
  await timePasses(lookMs)
  await until(
    async () => (await plane.client.status()).silentClouds.length === 0,
    60_000,
    () => 'the cloud answers again, and the status does not say so',
  )
  await nothingWasDone()
}, 240_000)

test('a cloud that says gone, again and again, while the agent speaks: the node serves on, its bill stays open, and it is shown as degraded', async () => {
  machines.sky.vanish(name)
  for (let i = 0; i < 3; i++) {
    await timePasses(lookMs)
    await agentSpeaks()
  }
  await until(
    async () => (await shown()).verdict === 'degraded',
    60_000,
    () => 'nobody is told that the cloud disagrees',
  )
  const { signals, timeline } = await shown()
  expect(signals).toMatchObject({ heartbeat: { value: 'good' }, sighting: { value: 'bad' } })
  expect(timeline.some(({ text }) => /-> degraded \(row cloud-/.test(text))).toBe(true)
  await nothingWasDone()
}, 240_000)

const heartbeatOf = (incarnation: string) => ({
  protocol: agentProtocol,
  incarnation,
  previous: null,
  agentVersion: '0.1.0',
  engine: { state: 'serving' as const, version: null, restarts: 0, failure: null },
  load: { inFlight: 0, busyMs: 0, requests: 0, spareSockets: 0 },
  gpus: [],
  gpuFaults: [],
  draining: false,
  drained: false,
})

test('10,000 forged heartbeats are refused, and the node is heard, serves and is judged as before', async () => {
  const [body, atOnce] = [JSON.stringify(heartbeatOf('a-forger')), 50]
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
  const forge = async (secret: string): Promise<number> => {
    const headers = { authorization: `Bearer fd_node_${nodeId}.${secret}`, 'content-type': 'application/json' }
    const call = request(`${plane.url}/agent/heartbeat`, { method: 'POST', agent, headers })
    call.end(body)
    const reply = await new Promise<IncomingMessage>((resolve, reject) =>
      call.once('response', resolve).once('error', reject),
    )
    reply.resume()
    await new Promise((resolve) => reply.once('close', resolve))
    return reply.statusCode ?? 0
  }
  const statuses = new Map<number, number>()
  for (let sent = 0; sent < 10_000; sent += atOnce)
    for (const status of await Promise.all(
      Array.from({ length: atOnce }, (_, i) => forge(`forged-secret-${sent + i}`)),
    ))
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
  agent.destroy()
  expect([...statuses.keys()].filter((status) => status !== 401 && status !== 429)).toEqual([])
  await agentSpeaks()
  await nothingWasDone()
  expect((await shown()).timeline.filter(({ text }) => text.includes('a-forger'))).toEqual([])
}, 180_000)

test('a second agent with the credential of a node is refused and told of; the first serves on', async () => {
  const kept = readFileSync(join(machines.home, '.flightdeck', name, 'credential.json'), 'utf8')
  const token = /fd_node_[\w.-]+/.exec(kept)?.[0] ?? ''
  const body = heartbeatOf('a-second-agent')
  const refused = makeClient({ url: plane.url, token }).heartbeat({ body })
  await expect(refused).rejects.toMatchObject({ status: 409, error: { code: 'second_holder' } })
  const told = (await shown()).timeline.filter(({ kind }) => kind === 'node.second_holder')
  expect(told.map(({ text }) => text)).toEqual([expect.stringContaining('a-second-agent')])
  await nothingWasDone()
}, 60_000)

test('a machine that was called gone while it slept is told 410 at its first heartbeat, and ends itself with its engine', async () => {
  const pids = (await plane.machines()).get(name) ?? []
  for (const pid of pids) signalProcess(pid, 'SIGSTOP')
  const isGone = async () => {
    await timePasses(lookMs)
    return (await shown()).state === 'gone'
  }
  await until(isGone, 120_000, () => 'silent, and called gone by its cloud: it is still believed')
  ledgerIsWhole(await shown())
  for (const pid of pids) signalProcess(pid, 'SIGCONT')
  const log = join(machines.home, '.flightdeck', name, 'agent.log')
  await until(
    async () => !(await plane.machines()).has(name),
    60_000,
    () => `it runs on: ${existsSync(log) ? readFileSync(log, 'utf8').slice(-2_000) : ''}`,
  )
  expect(readFileSync(log, 'utf8')).toContain('The control plane has released this node.')
  expect(await shown()).toMatchObject({ state: 'gone', billed: 'no' })
}, 300_000)
