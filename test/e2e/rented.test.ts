import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { signalProcess } from '../../src/clouds/local/processes.ts'
import { CallFailure, makeClient } from '../../src/wire/client.ts'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { begunStream, endsAsBroken } from './begun-stream.ts'
import { ledgerIsWhole, type Plane, startPlane, until } from './plane.ts'
import { RentedMachines } from './rented-machines.ts'

const machines = new RentedMachines()
let plane: Plane

beforeAll(async () => {
  const slurm = { nodeBin: process.execPath, onThisHost: true }
  plane = await startPlane({
    scripts: { rented: {}, told: { tokensPerS: 20 }, unwarned: { tokensPerS: 20 } },
    config: { skypilot: { url: await machines.start(), clouds: { slurm } } },
  })
})
afterAll(async () => {
  await plane?.end()
  await machines.stop()
})

afterEach(() => Object.assign(machines.sky.faults, { away: false, stopBefore: null }))

const onSlurm = { wish: { clouds: ['slurm'], gpus: ['H100'], gpuCount: 1 } }
const shown = (id: string): Promise<LaunchDetail> => plane.client.showLaunch({ params: { id } })
const nodeComesTo = (launch: LaunchDetail, state: string) =>
  until(
    async () => (await shown(launch.id)).attempts.at(-1)?.nodeState === state,
    90_000,
    () => `its node never is ${state}`,
  )
const nothingRuns = (name: string) =>
  until(
    async () => !(await plane.machines()).has(name),
    90_000,
    () => `${name} runs on`,
  )

async function joinRefusal(name: string): Promise<CallFailure> {
  const task = String(machines.sky.posted.find((body) => body['cluster_name'] === name)?.['task'])
  const token = /FD_JOIN_TOKEN: "([^"]+)"/.exec(task)?.[1] ?? ''
  const hardware = { hostname: 'late', cpus: 1, memoryMib: 1, gpus: [], instanceType: null }
  const body = { instance: 'a-late-agent', incarnation: 'a-late-agent', agentVersion: '0.1.0', hardware }
  const failure = await makeClient({ url: plane.url, token })
    .join({ body })
    .catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(CallFailure)
  return failure as CallFailure
}

test('an agent that joins after its node was released is told 410 and to end itself, which it does before any engine; the bill ends with the machine', async () => {
  const { sky } = machines
  sky.faults.stopBefore = 'job'
  const launch = await plane.launched('rented', onSlurm)
  await nodeComesTo(launch, 'booting')
  const { id, name } = await plane.node(await shown(launch.id))
  // Its end cannot be asked for, and so the job begins on a machine that nobody wants any more.
  sky.faults.away = true
  await plane.client.cancelLaunch({ params: { id: launch.id } })
  await nodeComesTo(launch, 'releasing')
  sky.machines.get(name)?.jobs.push('RUNNING')
  const folder = join(machines.home, '.flightdeck', name)
  const log = () => (existsSync(join(folder, 'agent.log')) ? readFileSync(join(folder, 'agent.log'), 'utf8') : '')
  await until(
    () => log().includes('The node was released before it joined.'),
    90_000,
    () => `the agent says: ${log()}`,
  )
  await nothingRuns(name)
  expect(existsSync(join(folder, 'credential.json'))).toBe(false)
  expect(existsSync(join(folder, 'engine.pid'))).toBe(false)
  expect(await joinRefusal(name)).toMatchObject({
    status: 410,
    error: { code: 'node_released', remedy: expect.stringContaining('ends itself') },
  })
  const node = await plane.client.showNode({ params: { id } })
  expect(node).toMatchObject({ state: 'releasing', billed: 'yes', hostname: null, agentVersion: null })

  Object.assign(sky.faults, { away: false, stopBefore: null })
  await plane.reaches(launch.id, ['cancelled'], 90_000)
  expect(await joinRefusal(name)).toMatchObject({ status: 410, error: { code: 'node_released' } })
  const gone = await plane.client.showNode({ params: { id } })
  expect(gone).toMatchObject({ state: 'gone', billed: 'no' })
  ledgerIsWhole(gone)
  expect(sky.machines.has(name)).toBe(false)
}, 300_000)

test.for([
  ['told to end, as a reclaim does,', 'told', 'SIGTERM', 'reclaimed'],
  ['without a word,', 'unwarned', 'SIGKILL', 'node_vanished'],
] as const)(
  'a machine that is taken away under traffic, %s ends its stream as broken; its bill is closed, another takes its place',
  { timeout: 300_000 },
  async ([, model, signal, code]) => {
    const launch = await plane.launched(model, onSlurm)
    const lost = await plane.node(await plane.reaches(launch.id, ['live'], 90_000))
    const body = { stream: true, max_tokens: 4_000 }
    const { whole } = await begunStream(await plane.chat(model, await plane.key(model), body))
    for (const pid of (await plane.machines()).get(lost.name) ?? []) signalProcess(pid, signal)
    machines.sky.vanish(lost.name)
    endsAsBroken(await whole)

    await plane.reaches(launch.id, ['ended', 'failed'], 90_000)
    const gone = await plane.client.showNode({ params: { id: lost.id } })
    expect(gone).toMatchObject({ state: 'gone', billed: 'no', failure: { code } })
    ledgerIsWhole(gone)
    const replacement = async () => {
      const { items } = await plane.client.listLaunches({})
      return items.find((one) => one.deploymentId === launch.deploymentId && one.state === 'live')
    }
    await until(
      async () => (await replacement()) !== undefined,
      90_000,
      () => 'nothing takes its place',
    )
    const next = await shown((await replacement())?.id ?? '')
    expect((await plane.node(next)).name).not.toBe(lost.name)
    await plane.client.cancelLaunch({ params: { id: next.id } })
    const over = await plane.reaches(next.id, ['ended', 'cancelled'], 90_000)
    ledgerIsWhole(await plane.node(over))
    expect(machines.sky.machines.size).toBe(0)
  },
)
