import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Plane } from '../e2e/plane.ts'
import { Registries, readTraces, registryHosts } from './dialled.ts'
import { answers, billIsClosed, onSlurm, startSkyPlane } from './sky-plane.ts'
import { giveBackAll, jobsOfCluster, nothingIsLeft, processesOf, slurmRig } from './slurm-rig.ts'
import { vllmOnCpu } from './vllm-rig.ts'

let url: string
let plane: Plane
let registries: Registries

beforeAll(async () => {
  const [address, command] = await Promise.all([slurmRig.up({ trace: true }), vllmOnCpu()])
  url = address
  registries = new Registries(await registryHosts(slurmRig.python))
  plane = await startSkyPlane(url, {
    scripts: { quick: {} },
    vllm: { command, models: { tiny: {}, 'too-long': { 'max-model-len': 100_000 } } },
  })
})
afterAll(async () => {
  await plane?.end()
  await slurmRig.down()
})
afterEach(async ({ task }) => {
  await registries.learnAddresses()
  if (task.concurrent) return
  if (task.result?.state === 'fail') await giveBackAll(plane)
  await nothingIsLeft(url, plane)
})

test('a machine in Slurm is launched, followed, asked through the gateway, billed and released without a trace', async () => {
  const launch = await plane.launched('quick', onSlurm('lab/main'))
  const live = await plane.reaches(launch.id, ['live'], 300_000)
  expect(live.attempts).toHaveLength(1)
  expect(live.phases.map(({ phase }) => phase)).toEqual(
    expect.arrayContaining(['queued', 'requesting', 'booting', 'joined', 'verifying']),
  )
  expect(await slurmRig.jobs()).toHaveLength(1)
  const node = await plane.node(live)
  expect(node).toMatchObject({ state: 'ready', billed: 'yes', offer: { cloud: 'slurm', region: 'lab/main' } })
  expect(node.gpus[0]).toMatchObject({ name: 'NVIDIA H100 80GB HBM3', memoryMib: 81_559 })
  expect(await jobsOfCluster(url, node.name)).toBe(1)
  await answers(plane, 'quick')

  await plane.client.releaseNode({ params: { id: node.id } })
  billIsClosed(await plane.node(await plane.reaches(launch.id, ['ended'], 180_000)))
})

describe.concurrent('the real vLLM', () => {
  afterAll(() => nothingIsLeft(url, plane))

  test('on a machine in Slurm it is followed by its own log, asked, billed and released without a trace', async () => {
    const launch = await plane.launched('tiny', onSlurm('lab/main'))
    const live = await plane.reaches(launch.id, ['live'], 600_000)
    const phases = live.phases.map(({ phase }) => phase)
    for (const phase of ['engine_start', 'engine_init', 'weights_load', 'server_start', 'verifying'])
      expect(phases).toContain(phase)
    const node = await plane.node(live)
    expect(node.engineVersion).toMatch(/^0\.\d+/)
    await answers(plane, 'tiny')
    // What is counted afterwards sees the engine's core while it lives: none left then means none.
    expect(processesOf(node.name)).toContainEqual(expect.stringContaining('VLLM::EngineCore'))

    await plane.client.releaseNode({ params: { id: node.id } })
    billIsClosed(await plane.node(await plane.reaches(launch.id, ['ended'], 180_000)))
  })

  test('an engine that fails on a rented machine ends the launch with its own words for the cause, and is paid for to the end', async () => {
    const launch = await plane.launched('too-long', onSlurm('lab/main'))
    const failed = await plane.reaches(launch.id, ['failed'], 600_000)
    expect(failed.failure).toMatchObject({ code: 'context_too_long', retry: 'never' })
    expect(failed.failure?.evidence).toContain('100000')
    billIsClosed(await plane.node(failed))
  })
})

test('neither the server, nor Slurm, nor what a node runs dialled anything but this host and the package registries', () => {
  expect(registries.judge(readTraces(slurmRig.traces()))).toEqual({ asked: true, others: [] })
})
