import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test, vi } from 'vitest'
import { type Local, TestHost } from '../../../test/local-host.ts'
import { cloudGuarantees } from '../conformance.ts'
import { LocalCloud, type LocalCloudOptions } from './local.ts'
import { machineProcesses, signalProcess } from './processes.ts'

const deadline = { timeout: 15_000, interval: 50 }

let host: TestHost
beforeEach(() => {
  host = new TestHost()
})
afterEach(() => host.end())

/** A host without a GPU, whatever this one has. */
function local(over: Partial<LocalCloudOptions> = {}): Promise<Local> {
  host.hasGpus([])
  return host.install(over)
}

describe('this host keeps what every cloud promises', () => {
  test.each(cloudGuarantees)('$title', async ({ check }) => check(await local()))
})

describe('machines on this host', () => {
  test('have one loop, however often they are asked for', async () => {
    const here = await local()
    const name = here.newName()
    await Promise.all([here.ask(name), here.ask(name), here.ask(name)])
    await here.until('the second and third loop have ended', async () => {
      const processes = await machineProcesses(name)
      return processes.filter(({ isLoop }) => isLoop).length === 1 && processes.length === 2
    })
  })

  test('are listed at once: a process is there when the ask is answered', async () => {
    const here = await local()
    const name = here.newName()
    await here.ask(name)
    assert.deepEqual(
      (await here.cloud.listMachines()).map((machine) => machine.name),
      [name],
    )
  })

  test('outlive the control plane that asked for them, even when it is killed', async () => {
    const here = await local()
    const name = here.newName()
    const program = `
      const { LocalCloud } = await import(${JSON.stringify(join(import.meta.dirname, 'local.ts'))})
      const clock = { now: () => Date.now(), monotonicMs: () => 0 }
      const cloud = new LocalCloud({ ...${JSON.stringify(here.options)}, clock })
      await cloud.ensureMachine({ name: '${name}', offer: ${JSON.stringify(here.offer)}, joinToken: 'fd_join_x' })
      console.log('asked')
      setInterval(() => 0, 1000)`
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program]
    const parent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    assert.match(String((await once(parent.stdout, 'data'))[0]), /asked/)
    const before = await here.pids(name)
    assert.ok(before.length > 0)
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    await vi.waitFor(async () => assert.equal((await here.pids(name)).length, 2), deadline)
    assert.ok((await here.pids(name)).some((pid) => before.includes(pid)))
    assert.deepEqual(await here.ask(name), { accepted: true })
  })

  test('of another install are neither listed nor ended', async () => {
    const mine = await local()
    const theirs = await local()
    const name = theirs.newName()
    await theirs.ask(name)
    assert.deepEqual(await mine.cloud.listMachines(), [])
    await assert.rejects(mine.cloud.ensureGone(name), /not a machine of this install/)
    assert.equal((await theirs.cloud.listMachines()).length, 1)
  })

  test('that do not end by themselves are killed once the grace is over', async () => {
    const here = await local({ endGraceMs: 0 })
    const name = here.newName()
    await here.ask(name)
    await vi.waitFor(async () => assert.ok((await here.pids(name)).length >= 2), deadline)
    for (const { pid, isLoop } of await machineProcesses(name)) if (isLoop) signalProcess(pid, 'SIGSTOP')
    await here.until('it is gone', async () => {
      await here.cloud.ensureGone(name)
      return (await here.pids(name)).length === 0
    })
  })

  test('are told no more than they need: our own settings and secrets stay with us', async () => {
    process.env.FLIGHTDECK_SECRET_KEY = 'never-told'
    try {
      const here = await local({ env: { FLIGHTDECK_TEST: 'told' } })
      const name = here.newName()
      await here.ask(name)
      const [pid] = await here.pids(name)
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8')
      assert.match(environment, /FLIGHTDECK_TEST=told/)
      assert.doesNotMatch(environment, /never-told|fd_join_x/)
    } finally {
      delete process.env.FLIGHTDECK_SECRET_KEY
    }
  })

  test('beyond the allowed number are refused with a cause', async () => {
    const here = await local({ maxMachines: 1 })
    await here.ask(here.newName())
    const answer = await here.ask(here.newName())
    assert.equal(answer.accepted ? '' : answer.refusal.code, 'no_capacity')
    assert.match(answer.accepted ? '' : answer.refusal.cause, /All 1 places .* are taken \(`local.maxMachines`\)/)
  })

  test('that are asked for at once, by two control planes, are no more than are allowed', async () => {
    const here = await local({ maxMachines: 3 })
    const clouds = [here.cloud, new LocalCloud(here.options)]
    const names = Array.from({ length: 8 }, here.newName)
    const answers = await Promise.all(
      names.map((name, i) => clouds[i % 2]?.ensureMachine({ name, offer: here.offer, joinToken: 't' })),
    )
    const accepted = names.filter((_, i) => answers[i]?.accepted)
    assert.equal(accepted.length, 3)
    const running = async () => (await here.cloud.listMachines()).map(({ name }) => name).sort()
    assert.deepEqual(await running(), accepted.toSorted())
    // A place is free as soon as its machine is gone.
    const [gone = '', ...stay] = accepted
    await here.until('the first is gone', async () => {
      await here.cloud.ensureGone(gone)
      return (await running()).length === 2
    })
    const next = here.newName()
    assert.deepEqual([await here.ask(next), await running()], [{ accepted: true }, [...stay, next].sort()])
  })

  test('whose engine wrote over its environment are listed until it is dead, also when its loop was killed', async () => {
    // As vLLM's core looks after it has set its title: alive, in a session of its own, and without its environment.
    const start = 'setsid env -i sleep 300 >>"$FLIGHTDECK_NODE_DIR/engine.log" 2>&1 &'
    host.agentIs(`${start}\nexec sleep 300`)
    const here = await local({ endGraceMs: 0 })
    const name = here.newName()
    await here.ask(name)
    const listed = async () =>
      (await here.cloud.listMachines()).flatMap(({ detail }) => (detail as { pids: number[] }).pids)
    // What carries its name still is one of the other two.
    const unmarked = async () => (await listed()).length === 3 && (await here.pids(name)).length === 2
    await here.until('loop, agent and engine run', unmarked)
    for (const pid of await here.pids(name)) signalProcess(pid, 'SIGKILL')
    await here.until('the engine alone is left', async () => (await here.pids(name)).length === 0)
    const [engine = 0, ...others] = await listed()
    assert.deepEqual([commandOf(engine).split('\0'), others], [['sleep', '300', ''], []])
    assert.deepEqual(await here.ask(name), { accepted: true })
    await here.until('it is gone', async () => {
      await here.cloud.ensureGone(name)
      return (await listed()).length === 0
    })
    assert.equal(commandOf(engine), '')
  })
})

/** Empty for a process that has ended, also while nobody has reaped it. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    // There is no such process.
    return ''
  }
}
