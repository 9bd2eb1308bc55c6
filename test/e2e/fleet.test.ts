import { spawn } from 'node:child_process'
import {
  chmodSync,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { formatUsd } from '../../src/core/money.ts'
import { randomName } from '../../src/lib/chance.ts'
import { type Plane, startPlane, until } from './plane.ts'

let plane: Plane
let neighbour: Plane | null = null
let bin: string | null = null
afterEach(async () => {
  await plane?.end()
  await neighbour?.end()
  neighbour = null
  if (bin) rmSync(bin, { recursive: true, force: true })
  bin = null
})

/** An nvidia-smi that tells of these GPUs: to the control plane, which offers them, and to agents, which find them. */
function nvidiaSmi(script: string): string {
  bin = mkdtempSync(join(tmpdir(), 'fd-smi-'))
  const file = join(bin, 'nvidia-smi')
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
  return bin
}

/** Of this run alone: who runs the same tests on this host holds others. */
const gpu = (index: number, name: string, mib: number) =>
  `echo "${index}, GPU-${run}-${index}, ${name}, ${mib}, 0, 4, 30"`
const run = randomName(8)
const h100 = (index: number) => gpu(index, 'NVIDIA H100 80GB HBM3', 81_559)

test('a deployment whose launches fail stops refilling after three in a row, until it is resumed', async () => {
  plane = await startPlane({
    scripts: { broken: { faults: { exitCode: 1 } } },
    config: { launch: { rounds: 1, triesPerOffer: 1 } },
  })
  const { id } = await plane.client.createDeployment({ body: { name: 'broken', model: 'broken', wanted: 1 } })
  const show = () => plane.client.showDeployment({ params: { id } })
  await until(
    async () => (await show()).stopped !== null,
    60_000,
    () => 'it never stops',
  )
  const stopped = await show()
  expect(stopped).toMatchObject({ failuresInARow: 3, wanted: 1 })
  const launches = await plane.client.listLaunches({ query: { deployment: 'broken' } })
  expect(launches.items).toHaveLength(3)
  await until(
    async () => (await plane.machines()).size === 0,
    20_000,
    () => 'a failed launch left something running',
  )
  const tried = await Promise.all(launches.items.map((one) => plane.client.showLaunch({ params: { id: one.id } })))
  const cost = tried.flatMap(({ attempts }) => attempts).reduce((sum, { costMicroUsd }) => sum + costMicroUsd, 0)
  expect(cost).toBeGreaterThan(0)
  expect((await show()).stopped).toBe(
    `3 failures in a row, ${formatUsd(cost)} spent on them. Look at the evidence with \`flightdeck show ${launches.items[0]?.id}\`, then \`flightdeck resume broken\`.`,
  )

  await plane.client.pauseDeployment({ params: { id }, body: { paused: false } })
  await until(
    async () => (await plane.client.listLaunches({ query: { deployment: 'broken' } })).items.length > 3,
    20_000,
    () => 'resuming does not refill',
  )
}, 120_000)

test('a lost machine is replaced', async () => {
  plane = await startPlane({ scripts: { quick: {} } })
  const { id } = await plane.client.createDeployment({ body: { name: 'kept', model: 'quick', wanted: 2 } })
  const ready = async () => (await plane.client.showDeployment({ params: { id } })).ready
  await until(
    async () => (await ready()) === 2,
    30_000,
    () => 'two replicas do not come',
  )
  const before = await plane.machines()
  const [lost, pids] = [...before][0] ?? ['', []]
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  await until(
    async () => (await ready()) === 2 && !(await plane.machines()).has(lost) && (await plane.machines()).size === 2,
    40_000,
    () => 'the lost replica is not replaced',
  )
}, 120_000)

test('a machine with our name that no row knows is shown with its cost, and ended after a while', async () => {
  plane = await startPlane({ scripts: {} })
  await until(
    async () => (await plane.client.status()).sweepArmed,
    20_000,
    () => 'a clean look does not arm the sweep',
  )
  const name = `fd-${plane.installId}-nobody`
  const env = { PATH: process.env.PATH ?? '', FLIGHTDECK_MACHINE: name }
  const orphan = spawn('sleep', ['600'], { env, stdio: 'ignore', detached: true })
  const ended = new Promise((resolve) => orphan.once('exit', resolve))
  await until(
    async () =>
      (await plane.client.status()).orphans.some((one) => one.name === name && one.pricePerHourMicroUsd === 3_600_000),
    60_000,
    () => 'the orphan is not shown',
  )
  await ended
}, 120_000)

test('the host`s GPUs are given out exclusively, and no launch gets one that another holds', async () => {
  const path = nvidiaSmi([h100(0), h100(1)].join('\n'))
  plane = await startPlane({ scripts: { quick: {} }, path })
  const { items: offers } = await plane.client.listOffers({})
  expect(offers.map(({ gpu, gpuCount }) => [gpu, gpuCount])).toEqual([
    ['NVIDIA H100 80GB HBM3', 1],
    ['NVIDIA H100 80GB HBM3', 2],
  ])
  const launches = await Promise.all([plane.launched('quick'), plane.launched('quick')])
  for (const { id } of launches) await plane.reaches(id, ['live'])
  const devices = [...(await plane.machines()).values()].map((pids) => {
    const environment = readFileSync(`/proc/${pids[0]}/environ`, 'latin1')
    return /CUDA_VISIBLE_DEVICES=(\d)/.exec(environment)?.[1]
  })
  expect(devices.sort()).toEqual(['0', '1'])
  const third = await plane.launched('quick', { timeLimitS: 8 })
  const failed = await plane.reaches(third.id, ['failed', 'timed_out'], 30_000)
  expect(failed.attempts[0]?.failure).toMatchObject({ code: 'no_capacity' })

  // Who kills loop and agent has not freed the GPU: the engine has inherited the hold.
  const holds = readFileSync('/proc/net/unix', 'latin1').split('\n')
  for (const [machine, [engine]] of await plane.running('scripted-engine')) {
    const inode = holds
      .find((line) => line.includes(`@flightdeck/gpu/GPU-${run}`) && line.endsWith(machine))
      ?.split(/\s+/)[6]
    const open = readdirSync(`/proc/${engine}/fd`).map((fd) => readlinkSync(`/proc/${engine}/fd/${fd}`))
    expect(open).toContain(`socket:[${inode}]`)
  }

  // An install of its own, with a data folder of its own.
  neighbour = await startPlane({ scripts: { quick: {} }, path, config: { launch: { rounds: 1, triesPerOffer: 1 } } })
  expect((await neighbour.client.listOffers({})).items.map(({ available }) => available)).toEqual([0, 0])
  const fourth = await neighbour.reaches((await neighbour.launched('quick')).id, ['failed'], 30_000)
  expect(fourth.attempts[0]?.failure?.cause).toMatch(
    /^1 x NVIDIA H100 80GB HBM3 are not free on this host: of 2, another install on this host holds 2 \(fd-/,
  )
}, 180_000)

test('of a host with several kinds of GPUs a machine gets, uses and reports the one that was ordered', async () => {
  const h200 = gpu(2, 'NVIDIA H200', 143_771)
  const path = nvidiaSmi([h100(0), gpu(1, 'Tesla T4', 15_360), h200].join('\n'))
  plane = await startPlane({ scripts: { quick: {} }, path })
  const launch = await plane.launched('quick', { wish: { gpus: ['NVIDIA H200'] } })
  const { gpus } = await plane.node(await plane.reaches(launch.id, ['live']))
  expect(gpus.map(({ index, name, uuid }) => [index, name, uuid])).toEqual([[2, 'NVIDIA H200', `GPU-${run}-2`]])
  const [engine] = [...(await plane.running('scripted-engine')).values()].flat()
  expect(readFileSync(`/proc/${engine}/environ`, 'latin1').split('\0')).toEqual(
    expect.arrayContaining(['CUDA_VISIBLE_DEVICES=2', 'CUDA_DEVICE_ORDER=PCI_BUS_ID']),
  )
}, 60_000)

test('hardware that is not what was ordered fails the launch with that cause, and the machine is given back', async () => {
  // The control plane sees an H100; what the agent finds on the machine is something smaller.
  const path = nvidiaSmi(`if [ -n "$FLIGHTDECK_MACHINE" ]; then ${gpu(0, 'Tesla T4', 15_360)}; else ${h100(0)}; fi`)
  plane = await startPlane({
    scripts: { quick: {} },
    path,
    config: { launch: { rounds: 1, triesPerOffer: 1 } },
  })
  const launch = await plane.launched('quick')
  const failed = await plane.reaches(launch.id, ['failed'], 30_000)
  expect(failed.failure).toMatchObject({ code: 'hardware_mismatch' })
  expect(failed.failure?.cause).toMatch(/T4/)
  const node = await plane.node(failed)
  expect(node.gpus[0]).toMatchObject({ name: 'Tesla T4' })
  expect(await plane.machines()).toEqual(new Map())
}, 60_000)

test('a secret reaches the engine and nothing else: no log, no argument, no answer, no row that can be read', async () => {
  const canary = 'canary-5f2b8c1d9e'
  plane = await startPlane({ scripts: { quick: {} } })
  await plane.client.putSecret({ params: { id: 'HF_TOKEN' }, body: { value: canary } })
  const launch = await plane.launched('quick')
  const live = await plane.reaches(launch.id, ['live'])
  const node = await plane.node(live)
  const pids = [...(await plane.machines()).values()].flat()
  const read = (pid: number, what: string) => readFileSync(`/proc/${pid}/${what}`, 'latin1')
  const engine = pids.filter((pid) => read(pid, 'cmdline').includes('scripted-engine'))
  expect(engine.some((pid) => read(pid, 'environ').includes(canary))).toBe(true)
  for (const pid of pids) expect(read(pid, 'cmdline')).not.toContain(canary)
  const answers = await Promise.all([
    plane.client.showLaunch({ params: { id: launch.id } }),
    plane.client.showNode({ params: { id: node.id } }),
    plane.client.listSecrets({}),
    plane.client.audit({}),
    plane.client.transcript({ params: { id: launch.id } }),
    plane.client.nodeLogs({ params: { id: node.id } }),
  ])
  expect(JSON.stringify(answers)).not.toContain(canary)
  expect(filesWith(canary, plane.dir).map((path) => basename(path))).toEqual(['secrets.json'])
  await plane.client.releaseNode({ params: { id: node.id } })
  await plane.reaches(launch.id, ['ended'])
  expect(filesWith(canary, plane.dir)).toEqual([])
}, 60_000)

// Files come and go beneath: one that is gone by now holds nothing.
function filesWith(text: string, dir: string): string[] {
  const holds = (path: string): boolean => {
    try {
      return readFileSync(path, 'latin1').includes(text)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw error
    }
  }
  const entries = globSync(['**', '**/.*/**', '**/.*'], { cwd: dir, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter(holds)
}
