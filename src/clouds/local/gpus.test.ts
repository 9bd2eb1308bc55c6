import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { type Local, TestHost } from '../../../test/local-host.ts'
import { cloudGuarantees } from '../conformance.ts'
import { gpuHolders } from './gpu-holds.ts'
import { parseGpus } from './gpus.ts'
import { LocalCloud, localOffers } from './local.ts'
import { machineProcesses, signalProcess } from './processes.ts'

const h100 = 'NVIDIA H100 80GB HBM3, 81559'
const t4 = 'Tesla T4, 15360'

let host: TestHost
beforeEach(() => {
  host = new TestHost()
})
afterEach(() => host.end())

const gpusOf = (lines: readonly string[]) => parseGpus(lines.map((line, i) => `${i}, GPU-${i}, ${line}`).join('\n'))
const priced = { name: 'local', pricePerHourMicroUsd: 10, maxMachines: 4 }
const briefly = (lines: readonly string[], held: readonly number[] = []) =>
  localOffers(gpusOf(lines), priced, new Map(held.map((i) => [`GPU-${i}`, 'fd-a-b']))).map((offer) => [
    offer.id.replace('local/here/', ''),
    offer.available,
    offer.pricePerHourMicroUsd,
    offer.vramGib,
  ])

/** What the machine's processes were told of it. */
async function told(here: Local, name: string, variable: string): Promise<string | undefined> {
  const [pid] = await here.pids(name)
  const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  return environment.find((line) => line.startsWith(`${variable}=`))?.slice(variable.length + 1)
}

const causeOf = (answer: Awaited<ReturnType<Local['ask']>>): string => (answer.accepted ? '' : answer.refusal.cause)
const freeOf = async ({ cloud }: Local) => (await cloud.offers()).map(({ available }) => available)

describe('GPUs of this host are offered', () => {
  test('in every count, as many times as it is free', () => {
    assert.deepEqual(briefly([h100, h100, h100], [1]), [
      ['NVIDIA-H100-80GB-HBM3x1', 2, 10, 79],
      ['NVIDIA-H100-80GB-HBM3x2', 1, 20, 79],
      ['NVIDIA-H100-80GB-HBM3x3', 0, 30, 79],
    ])
  })

  test('and a host without any offers machines with the memory that its processes may use', () => {
    const [offer, ...more] = localOffers([], priced, new Map(), 31)
    assert.deepEqual([offer?.id, offer?.memoryGib, more], ['local/here/cpu', 31, []])
    const [here] = localOffers([], priced, new Map())
    assert.ok((here?.memoryGib ?? 0) > 0 && (here?.memoryGib ?? 0) <= totalmem() / 2 ** 30)
  })

  test('by kind: one machine never gets two kinds of them, nor namesakes with other memory', () => {
    assert.deepEqual(briefly([h100, t4, h100]), [
      ['NVIDIA-H100-80GB-HBM3x1', 2, 10, 79],
      ['NVIDIA-H100-80GB-HBM3x2', 1, 20, 79],
      ['Tesla-T4x1', 1, 10, 15],
    ])
    assert.deepEqual(briefly(['RTX 3060, 12288', 'RTX 3060, 8192']), [
      ['RTX-3060-12GiBx1', 1, 10, 12],
      ['RTX-3060-8GiBx1', 1, 10, 8],
    ])
  })

  test('as a real nvidia-smi tells of them', () => {
    const csv = readFileSync(join(import.meta.dirname, '../../../test/fixtures/nvidia-smi/h200-host.csv'), 'utf8')
    assert.deepEqual(parseGpus(csv), [
      { index: 0, uuid: 'GPU-005e97d6-fd4d-8f44-1929-2b6620011aae', name: 'NVIDIA H200', memoryMib: 143_771 },
    ])
  })

  test('only if they can be told apart', () => {
    assert.deepEqual(parseGpus('0, [N/A], NVIDIA H100, 81559\nNo devices were found\n'), [])
  })
})

describe('a host with GPUs keeps what every cloud promises', () => {
  test.each(cloudGuarantees)('$title', async ({ check }) => {
    host.hasGpus([h100, h100, h100])
    await check(await host.install())
  })
})

describe('GPUs of this host', () => {
  test('are given to one machine at a time, told to it, and free again when it is gone', async () => {
    host.hasGpus([t4, h100, h100])
    const here = await host.install()
    const [offer] = (await here.cloud.offers()).filter(({ gpu }) => gpu?.includes('H100'))
    const [one, two, three] = [here.newName(), here.newName(), here.newName()]
    assert.deepEqual([await here.ask(one, offer), await here.ask(two, offer)], [{ accepted: true }, { accepted: true }])
    assert.match(
      causeOf(await here.ask(three, offer)),
      /^1 x NVIDIA H100 80GB HBM3 are not free on this host: of 2, machines of this install hold 2\.$/,
    )
    for (const [name, index] of [
      [one, 1],
      [two, 2],
    ] as const) {
      assert.equal(await told(here, name, 'CUDA_VISIBLE_DEVICES'), String(index))
      assert.equal(await told(here, name, 'CUDA_DEVICE_ORDER'), 'PCI_BUS_ID')
      assert.equal(await told(here, name, 'FLIGHTDECK_GPUS'), host.uuid(index))
    }
    await here.end(one)
    assert.deepEqual(await here.ask(three, offer), { accepted: true })
  })

  test('are never given in part: who asks for two where one is free gets none', async () => {
    host.hasGpus([h100, h100])
    const here = await host.install()
    await here.ask(here.newName())
    assert.equal((await here.ask(here.newName(), { gpuCount: 2 })).accepted, false)
    assert.deepEqual(await here.ask(here.newName()), { accepted: true })
  })

  test('cost what they cost, also of a machine that no row knows', async () => {
    host.hasGpus([h100, h100, h100])
    const here = await host.install()
    const [one, two] = [here.newName(), here.newName()]
    await here.ask(one)
    await here.ask(two, { gpuCount: 2 })
    const prices = (await here.cloud.listMachines()).map(({ name, pricePerHourMicroUsd: price }) => [name, price])
    assert.deepEqual(
      new Map(prices as [string, number][]),
      new Map([
        [one, 1_000_000],
        [two, 2_000_000],
      ]),
    )
  })

  test('that are asked for at once by two control planes of an install go to one of them', async () => {
    host.hasGpus([h100])
    const here = await host.install()
    const clouds = [here.cloud, new LocalCloud(here.options)]
    const ask = (cloud: Local['cloud'], name: string) =>
      cloud.ensureMachine({ name, offer: here.offer, joinToken: 't' })
    const answers = await Promise.all(clouds.map((cloud) => ask(cloud, here.newName())))
    assert.deepEqual(answers.map(({ accepted }) => accepted).sort(), [false, true])
    const [{ name = '' } = {}] = await here.cloud.listMachines()
    await here.end(name)
    // Under one name both are right: it is one machine.
    const same = here.newName()
    assert.deepEqual(await Promise.all(clouds.map((cloud) => ask(cloud, same))), [
      { accepted: true },
      { accepted: true },
    ])
    assert.deepEqual(
      (await here.cloud.listMachines()).map(({ name }) => name),
      [same],
    )
  })

  test('are held by at most one of two installs that ask for them at once, again and again', async () => {
    host.hasGpus([h100, h100, h100])
    const installs = [await host.install({ endGraceMs: 0 }), await host.install({ endGraceMs: 0 })]
    for (let round = 0; round < 8; round++) {
      const asks = installs.flatMap((here) => [1, 2, 1].map((gpuCount) => ({ here, name: here.newName(), gpuCount })))
      const answers = await Promise.all(
        asks.map(async (ask) => ({ ...ask, answer: await ask.here.ask(ask.name, { gpuCount: ask.gpuCount }) })),
      )
      const given = answers.filter(({ answer }) => answer.accepted)
      const uuids = await Promise.all(given.map(({ here, name }) => told(here, name, 'FLIGHTDECK_GPUS')))
      const all = uuids.flatMap((one) => one?.split(',') ?? [])
      assert.equal(new Set(all).size, all.length, `round ${round}: ${uuids.join(' | ')}`)
      assert.equal(
        all.length,
        given.reduce((sum, { gpuCount }) => sum + gpuCount, 0),
      )
      // Nobody was refused what was free: the three are all given, and the rest is told who has them.
      assert.equal(all.length, 3, `round ${round}`)
      for (const { answer } of answers) if (!answer.accepted) assert.match(causeOf(answer), /holds? \d/)
      await Promise.all(given.map(({ here, name }) => here.end(name)))
      for (const here of installs) await here.until('all are free', async () => (await freeOf(here))[0] === 3)
    }
  }, 180_000)

  test('that another install holds are busy here: not free in the offer, and a refusal says who has them', async () => {
    host.hasGpus([h100, h100])
    const [here, there] = [await host.install(), await host.install()]
    assert.deepEqual(await freeOf(here), [2, 1])
    const [mine, theirs] = [here.newName(), there.newName()]
    await there.ask(theirs)
    assert.deepEqual(await freeOf(here), [1, 0])
    await here.ask(mine)
    assert.equal(
      causeOf(await here.ask(here.newName())),
      `1 x NVIDIA H100 80GB HBM3 are not free on this host: of 2, machines of this install hold 1 and another install on this host holds 1 (${theirs}).`,
    )
    await there.end(theirs)
    assert.deepEqual(await here.ask(here.newName()), { accepted: true })
  })

  test('stay with a machine whose control plane was killed, and are free at once where it died before there was one', async () => {
    host.hasGpus([h100, h100])
    const [here, there] = [await host.install(), await host.install()]
    const name = here.newName()
    const asking = await child(`
      const { LocalCloud } = await import(${path('local.ts')})
      const clock = { now: () => Date.now(), monotonicMs: () => 0 }
      await new LocalCloud({ ...${JSON.stringify(here.options)}, clock })
        .ensureMachine({ name: '${name}', offer: ${JSON.stringify(here.offer)}, joinToken: 'x' })`)
    const holding = await child(`
      const { holdGpus } = await import(${path('gpu-holds.ts')})
      globalThis.hold = await holdGpus('${here.newName()}', ['${host.uuid(1)}'], 1, new Map())`)
    assert.deepEqual(await freeOf(there), [0, 0])
    for (const process of [asking, holding]) {
      process.kill('SIGKILL')
      await once(process, 'exit')
    }
    assert.deepEqual(await freeOf(there), [1, 0])
    assert.equal((await gpuHolders()).get(host.uuid(0)), name)
  })

  test.runIf(canBeNobody())('that another user holds are busy here, and ours there', async () => {
    host.hasGpus([h100, h100])
    const here = await host.install()
    const hold = (name: string) => `
      const { GpuHold, holdGpus } = await import(${path('gpu-holds.ts')})
      const uuids = ['${host.uuid(0)}', '${host.uuid(1)}']
      globalThis.hold = await holdGpus('${name}', uuids, 1, new Map())
      console.log(hold instanceof GpuHold ? 'done ' + hold.uuids : 'done without')`
    const first = await child(hold('fd-other-a'), nobody)
    assert.deepEqual(await freeOf(here), [1, 0])
    await here.ask(here.newName())
    assert.match(causeOf(await here.ask(here.newName())), /another install on this host holds 1 \(fd-other-a\)/)
    const second = await child(hold('fd-other-b'), nobody)
    assert.deepEqual(
      [...(await gpuHolders()).values()].filter((name) => name === 'fd-other-b'),
      [],
    )
    for (const process of [first, second]) process.kill('SIGKILL')
  })

  test('are held until the last process of their machine is dead, also when only its engine is left', async () => {
    // The first engine has inherited what it was given. The second has not, and its own install still knows.
    const spawned = `require('child_process').spawn('/bin/sleep', ['300'], { detached: true, env: {}, stdio: 'inherit' }).unref()`
    const engines = ['setsid env -i sleep 300 &', `${process.execPath} -e "${spawned}";`]
    const [heir, other] = engines.map((engine) => `{ ${engine} } >>"$FLIGHTDECK_NODE_DIR/engine.log" 2>&1`)
    host.agentIs(`if [ "$CUDA_VISIBLE_DEVICES" = 0 ]; then ${heir}; else ${other}; fi\nexec sleep 300`)
    host.hasGpus([h100, h100])
    const [here, there] = [await host.install(), await host.install()]
    const names = [here.newName(), here.newName()]
    for (const name of names) await here.ask(name)
    const listed = async () => (await here.cloud.listMachines()).flatMap(({ detail }) => detail['pids'] as number[])
    // What still has the machine's environment is its loop and its agent; an engine has lost it once it runs.
    const marked = async () => (await Promise.all(names.map(here.pids))).map(({ length }) => length)
    const engineRuns = async () => (await listed()).length === 6 && (await marked()).join() === '2,2'
    await here.until('both engines run', engineRuns)
    for (const name of names) for (const { pid } of await machineProcesses(name)) signalProcess(pid, 'SIGKILL')
    await here.until('the engines alone are left', async () => (await listed()).length === 2)
    assert.deepEqual(await freeOf(here), [0, 0])
    assert.match(causeOf(await there.ask(there.newName(), { gpuCount: 2 })), /another install on this host holds 1/)
    for (const name of names) await here.end(name)
    assert.deepEqual(await freeOf(there), [2, 1])
  })
})

const nobody = { uid: 65_534, gid: 65_534 }

/** Only root can be somebody else, and a clone may lie where others cannot read it. */
function canBeNobody(): boolean {
  if (process.getuid?.() !== 0) return false
  const look = `require('fs').accessSync(${path('gpu-holds.ts')}, 4)`
  return spawnSync(process.execPath, ['-e', look], { ...nobody, cwd: '/', stdio: 'ignore' }).status === 0
}

const path = (file: string) => JSON.stringify(join(import.meta.dirname, file))

/** A process that did what the program says and is still there. */
async function child(program: string, as: Partial<typeof nobody> = {}): Promise<ChildProcess> {
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e']
  const text = `${program}\nconsole.log('done')\nsetInterval(() => 0, 1000)`
  const started = spawn(process.execPath, [...args, text], { ...as, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] })
  assert.match(String((await once(started.stdout, 'data'))[0]), /done/)
  return started
}
