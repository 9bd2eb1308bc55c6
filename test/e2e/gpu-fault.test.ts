import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { randomName } from '../../src/lib/chance.ts'
import type { NodeDetail } from '../../src/wire/views.ts'
import { ledgerIsWhole, type Plane, startPlane, until } from './plane.ts'
import { RentedMachines } from './rented-machines.ts'

let plane: Plane
let machines: RentedMachines | null = null
let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-gpu-fault-'))
})
afterEach(async () => {
  await plane?.end()
  await machines?.stop()
  machines = null
  rmSync(dir, { recursive: true, force: true })
})

/** Of this run alone: who runs the same tests on this host holds others. */
const run = randomName(8)
const gpu = (index: number, health = '0, [N/A], No, No, None') =>
  `${index}, GPU-${run}-${index}, NVIDIA H100 80GB HBM3, 81559, 0, 4, 30, 00000000:${index}B:00.0, ${health}`

/** An nvidia-smi that lists what the file says, to the control plane's query as well. */
function nvidiaSmi(folder: string): (...gpus: string[]) => void {
  const list = (...gpus: string[]) => writeFileSync(join(folder, 'gpus.csv'), gpus.map((line) => `${line}\n`).join(''))
  const script = `#!/bin/sh\ncase "$*" in *pci.bus_id*) cat '${folder}/gpus.csv' ;; *) cut -d, -f1-4 '${folder}/gpus.csv' ;; esac\n`
  writeFileSync(join(folder, 'nvidia-smi'), script, { mode: 0o755 })
  return list
}

const shown = (id: string): Promise<NodeDetail> => plane.client.showNode({ params: { id } })
const living = async () => (await plane.client.listNodes({ query: {} })).items
const becomes = async (id: string, what: string, holds: (node: NodeDetail) => boolean) => {
  let last: NodeDetail | null = null
  const look = async () => {
    last = await shown(id)
    return holds(last)
  }
  const said = () => JSON.stringify(last?.timeline.map(({ text }) => text))
  await until(look, 60_000, () => `${what}: ${last?.state}, ${said()}`)
}

/** Asks again and again until it is told to stop; what it returns are the answers that were none. */
function asking(model: string, key: string): () => Promise<string[]> {
  const stop = new AbortController()
  const lost: string[] = []
  const loop = async () => {
    while (!stop.signal.aborted) {
      const answer = await plane.chat(model, key, { max_tokens: 2 })
      if (answer.status !== 200) lost.push(`${answer.status} ${await answer.text()}`)
      else await answer.arrayBuffer()
    }
  }
  const done = Promise.all([loop(), loop()])
  return async () => {
    stop.abort()
    await done
    return lost
  }
}

test('a node whose GPU counts an uncorrectable error is drained and replaced: no request and no stream is lost, and the evidence stays', async () => {
  const list = nvidiaSmi(dir)
  list(gpu(0), gpu(1), gpu(2))
  plane = await startPlane({ scripts: { served: { tokensPerS: 20 } }, path: dir })
  const { id } = await plane.client.createDeployment({ body: { name: 'served', model: 'served', wanted: 2 } })
  await until(
    async () => (await plane.client.showDeployment({ params: { id } })).ready === 2,
    60_000,
    () => 'it never has two replicas',
  )
  const node = (await living()).find(({ gpus }) => gpus[0]?.index === 0)
  if (!node) throw new Error('nobody has the first GPU')
  const key = await plane.key()
  const stop = asking('served', key)
  const streams = await Promise.all([1, 2].map(() => plane.chat('served', key, { stream: true, max_tokens: 100 })))
  list(gpu(0, '1, [N/A], No, No, None'), gpu(1), gpu(2))
  await becomes(node.id, 'it drains', ({ state }) => state === 'draining')
  for (const stream of streams) expect((await stream.text()).trimEnd().endsWith('data: [DONE]')).toBe(true)
  await becomes(node.id, 'it is gone', ({ state }) => state === 'gone')
  await until(
    async () => (await living()).filter(({ state }) => state === 'ready').length === 2,
    60_000,
    () => 'it is not replaced',
  )
  expect(await stop()).toEqual([])
  expect((await living()).map(({ id }) => id)).not.toContain(node.id)
  const gone = await shown(node.id)
  const evidence = 'nvidia-smi: ecc.errors.uncorrected.volatile.total 1, was 0'
  expect(gone.failure).toMatchObject({ code: 'gpu_fault', evidence })
  expect(gone.gpuFaults).toMatchObject([{ source: 'ecc', gpu: `GPU-${run}-0`, action: 'replace', evidence }])
  expect(gone.timeline.filter(({ kind }) => kind === 'node.gpu_fault')).toHaveLength(1)
  ledgerIsWhole(gone)
  // The same GPU, as it is now, is where the next machine begins: what it counted before is no news there.
  await plane.client.scaleDeployment({ params: { id }, body: { wanted: 3 } })
  await until(
    async () => (await living()).filter(({ state }) => state === 'ready').length === 3,
    60_000,
    () => 'a third one never serves',
  )
}, 180_000)

test('a driver that prints faults everywhere takes no fleet down: no request is lost, and each machine is replaced in its turn', async () => {
  const list = nvidiaSmi(dir)
  const all = [0, 1, 2, 3, 4, 5, 6, 7]
  list(...all.map((index) => gpu(index)))
  // A fifth of so few is less than three, and four is more.
  plane = await startPlane({ scripts: { served: { tokensPerS: 200 } }, path: dir, local: { maxMachines: 8 } })
  const { id } = await plane.client.createDeployment({ body: { name: 'served', model: 'served', wanted: 4 } })
  const isWhole = async () => (await plane.client.showDeployment({ params: { id } })).ready === 4
  await until(isWhole, 90_000, () => 'it never has four replicas')
  const fleet = await living()
  const held = fleet.map(({ gpus }) => gpus[0]?.index ?? -1)
  const key = await plane.key()
  const stop = asking('served', key)
  list(...all.map((index) => (held.includes(index) ? gpu(index, '1, [N/A], No, No, None') : gpu(index))))
  await until(
    async () => /faulty GPUs wait for their turn/.test((await plane.client.status()).guard ?? ''),
    60_000,
    () => 'nobody waits for a turn',
  )
  const everyFate = async () => Promise.all(fleet.map((one) => shown(one.id)))
  let said = ''
  const areReplaced = async () => {
    const fates = await everyFate()
    said = JSON.stringify(fates.map(({ state, statusMessage }) => [state, statusMessage]))
    return fates.every(({ state }) => state === 'gone') && (await isWhole())
  }
  await until(areReplaced, 180_000, () => `not all of them are replaced: ${said}`)
  expect(await stop()).toEqual([])
  const turns = (await everyFate()).filter(({ timeline }) => timeline.some(({ kind }) => kind === 'node.gpu_fault_due'))
  expect(turns).toHaveLength(1)
  expect((await plane.client.status()).guard).toBeNull()
}, 360_000)

test('a line of the kernel`s log replaces a rented machine; lines from before its join, and of an application, do not', async () => {
  machines = new RentedMachines()
  const log = join(dir, 'kern.log')
  const xid = (number: number, text: string) =>
    appendFileSync(log, `[   7.1] NVRM: Xid (PCI:0000:0B:00): ${number}, pid=7, ${text}\n`)
  xid(79, 'from before')
  machines.imageEnv = { FLIGHTDECK_KERNEL_LOG: log }
  const url = await machines.start()
  nvidiaSmi(machines.home)(gpu(0))
  machines.sky.faults.infra = ['gcp']
  const rented = { nodeBin: process.execPath, onThisHost: true }
  plane = await startPlane({
    scripts: { rented: { tokensPerS: 20 } },
    config: { skypilot: { url, clouds: { gcp: rented } } },
  })
  const wish = { clouds: ['gcp'], gpus: ['H100'], gpuCount: 1, spot: 'never' as const }
  const launch = await plane.launched('rented', { wish })
  const node = await plane.node(await plane.reaches(launch.id, ['live'], 60_000))
  const stream = await plane.chat('rented', await plane.key(), { stream: true, max_tokens: 100 })
  xid(31, 'an illegal address')
  await becomes(node.id, 'an application`s fault is told', ({ gpuFaults }) => gpuFaults.length === 1)
  expect((await shown(node.id)).state).toBe('ready')
  xid(79, 'GPU has fallen off the bus')
  await becomes(node.id, 'it drains', ({ state }) => state === 'draining')
  expect((await stream.text()).trimEnd().endsWith('data: [DONE]')).toBe(true)
  await becomes(node.id, 'it is gone', ({ state }) => state === 'gone')
  const { failure, gpuFaults } = await shown(node.id)
  expect(failure).toMatchObject({ code: 'gpu_fault', evidence: expect.stringMatching(/79, pid=7, GPU has fallen/) })
  expect(gpuFaults.map(({ xid: number, action }) => [number, action])).toEqual([
    [31, 'engine'],
    [79, 'replace'],
  ])
  // Its replacement reads the same log, and begins behind what took the first one away.
  const replaced = async () => (await living()).some(({ id, state }) => id !== node.id && state === 'ready')
  await until(replaced, 60_000, () => 'it is not replaced')
  const [second] = await living()
  expect(second?.gpuFaults).toEqual([])
}, 180_000)
