import assert from 'node:assert/strict'
import { existsSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'vitest'
import type { EngineSpec } from '../wire/agent.ts'
import { reverse } from '../wire/paths.ts'
import {
  commandOf,
  environmentOf,
  FakeControl,
  hasEnded,
  Machine,
  simEngine,
  textOf,
  until,
} from './world-for-tests.ts'

let control: FakeControl
let machine: Machine

async function world(engine: EngineSpec = simEngine(), extra: Record<string, string> = {}): Promise<void> {
  control = new FakeControl(engine)
  await control.listen()
  machine = new Machine(control, extra)
}

afterEach(async () => {
  const left = await machine.clean()
  await control.close()
  assert.deepEqual(left, [], 'no process of the machine outlives its loop')
})

const ask = { model: 'tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 4 }

describe('a whole life', () => {
  test('it joins, starts the engine, says that it answers, serves, and ends when it is told to', async () => {
    await world()
    const loop = machine.startLoop()
    await until('the engine answered', () => control.answered())
    const response = await control.send('POST', '/v1/chat/completions', ask, { authorization: 'Bearer client' })
    assert.equal(response.statusCode, 200)
    assert.match(await textOf(response), /chat\.completion/)
    assert.equal((await control.send('GET', reverse.alivePath)).statusCode, 204)
    assert.equal(statSync(join(machine.dir, 'credential.json')).mode & 0o777, 0o600)
    assert.equal(statSync(join(machine.dir, 'secrets.json')).mode & 0o777, 0o600)
    assert.equal(existsSync(join(machine.dir, 'join-token')), false)
    await until('a heartbeat that counted the request', () => control.beat?.load.requests === 1)
    control.refuse.agent = 410
    await until('the loop is gone', () => hasEnded(loop))
    assert.equal(loop.exitCode, 0)
    assert.deepEqual(machine.processes(), [])
  })
})

describe('joining', () => {
  test('a refused token ends the node with a clear line and without a second try', async () => {
    await world()
    control.refuse.join = 401
    const loop = machine.startLoop()
    await until('the loop is gone', () => hasEnded(loop))
    assert.equal(loop.exitCode, 0)
    assert.equal(control.joins.length, 1)
    assert.match(machine.read('agent.log'), /join token was refused \(status 401: no such join token\)/)
  })

  test('a join whose reply was lost is repeated by the same instance', async () => {
    await world()
    control.loseJoinReply = true
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    assert.equal(control.joins.length, 2)
    assert.equal(control.joins[0]?.instance, control.joins[1]?.instance)
  })

  test('a control plane that stumbles is asked again', async () => {
    await world()
    control.refuse.join = 503
    machine.startLoop()
    await until('a first join', () => control.joins.length > 0)
    control.refuse = {}
    await until('the engine answered', () => control.answered())
  })

  test('neither token nor credential is in the environment, the arguments or the log of anything that runs', async () => {
    await world(simEngine({ startupMs: 0 }, { env: { FLIGHTDECK_JOIN_TOKEN_FILE: 'x', ONLY: 'mine' } }))
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const environments = machine.processes().map((pid) => `${environmentOf(pid)} ${commandOf(pid)}`)
    assert.ok(environments.length >= 3)
    for (const text of environments) assert.doesNotMatch(text, /fd_(join|node)_/)
    const engine = environmentOf(machine.engines()[0] ?? 0)
    assert.match(engine, /HF_TOKEN=hf_a_secret_word/)
    assert.match(engine, /ONLY=mine/)
    assert.doesNotMatch(engine, /FLIGHTDECK_(CONTROL|JOIN|NODE|AGENT)/)
    assert.doesNotMatch(machine.read('agent.log'), /fd_(join|node)_|hf_a_secret/)
  })
})

describe('the agent dies', () => {
  test('the engine lives on, is adopted under the same pid, and serves again within seconds', async () => {
    await world()
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const [engine] = machine.engines()
    const agent = await until('the agent', () => machine.agentPid())
    const heard = control.heartbeats.length
    const first = control.beat?.incarnation
    process.kill(agent, 'SIGKILL')
    const began = performance.now()
    const beat = await until('a heartbeat of the next agent that serves', () =>
      control.heartbeats.slice(heard).find((b) => b.incarnation !== first && b.engine.state === 'serving'),
    )
    await until(
      'a spare of the next agent',
      () => control.upgrades.at(-1) === beat.incarnation && control.spares.length,
    )
    // The loop waits for one second; the rest is the start of a process on a machine that may be busy.
    assert.ok(performance.now() - began < 10_000, `back after ${Math.round(performance.now() - began)} ms`)
    assert.equal(beat.previous, first)
    assert.equal(beat.engine.restarts, 0)
    assert.deepEqual(machine.engines(), [engine])
    assert.equal(control.joins.length, 1)
    assert.equal((await control.send('POST', '/v1/chat/completions', ask)).statusCode, 200)
  })

  test('when its loop is killed with it, the next job adopts the engine, which holds no lock of the machine', async () => {
    await world()
    const first = machine.startLoop()
    await until('the engine answered', () => control.answered())
    const [engine] = machine.engines()
    const agent = await until('the agent', () => machine.agentPid())
    first.kill('SIGKILL')
    process.kill(agent, 'SIGKILL')
    await until('both are dead', () => hasEnded(first) && machine.agentPid() === null)
    const heard = control.heartbeats.length
    machine.startLoop()
    await until('the next agent serves', () =>
      control.heartbeats.slice(heard).some((b) => b.engine.state === 'serving'),
    )
    assert.deepEqual(machine.engines(), [engine])
  })

  test('no line of the log is lost or told twice over a restart', async () => {
    await world(simEngine({ startupMs: 0, accessLog: true }))
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const wordOf = (n: number) => control.lines.filter(({ text }) => text.includes(`/v1/models?n=${n} `)).length
    const call = async (n: number) => textOf(await control.send('GET', `/v1/models?n=${n}`))
    for (let n = 0; n < 5; n++) await call(n)
    await until('the last line', () => wordOf(4))
    process.kill(await until('the agent', () => machine.agentPid()), 'SIGKILL')
    await until('sockets of the old agent are gone', () => control.spares.length === 0)
    for (let n = 5; n < 10; n++) await call(n)
    await until('the last line', () => wordOf(9))
    assert.deepEqual(
      Array.from({ length: 10 }, (_, n) => wordOf(n)),
      Array(10).fill(1),
    )
    const numbers = control.lines.map(({ n }) => n)
    assert.equal(new Set(numbers).size, numbers.length, 'a number stands for one line only')
  })

  test('an engine that was started but never recorded is not left beside a second one', async () => {
    await world()
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const [engine] = machine.engines()
    rmSync(join(machine.dir, 'engine.json'))
    process.kill(await until('the agent', () => machine.agentPid()), 'SIGKILL')
    await until('another engine answers', () => control.answered() >= 2)
    assert.equal(machine.engines().length, 1)
    assert.notEqual(machine.engines()[0], engine)
  })
})

describe('the engine', () => {
  test('what the log shows while it starts arrives as phases in their order', async () => {
    await world(simEngine({ startupMs: 1_500 }))
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const told = control.reports.flatMap(({ phases }) => phases.map(({ phase }) => phase))
    const order = told.filter((phase, at) => phase !== told[at - 1])
    assert.equal(order[0], 'engine_start')
    assert.equal(order.at(-1), 'verifying')
    for (const phase of ['engine_init', 'weights_load', 'compile']) assert.ok(order.includes(phase), phase)
    assert.equal(new Set(order).size, order.length, 'no phase comes back')
  })

  test('killed, it is started again within its bounds; after that the node says that it failed', async () => {
    await world(simEngine({ startupMs: 0 }, { maxRestarts: 1 }))
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const [first] = machine.engines()
    process.kill(first ?? 0, 'SIGKILL')
    await until('it answers again', () => control.answered() === 2)
    assert.equal(control.failure, null)
    await until('a heartbeat that counts', () => control.beat?.engine.restarts === 1)
    process.kill(machine.engines()[0] ?? 0, 'SIGKILL')
    const failure = await until('the failure', () => control.failure)
    assert.equal(failure.code, 'host_memory')
    await until('a heartbeat that says so', () => control.beat?.engine.state === 'failed')
    assert.deepEqual(machine.engines(), [])
    assert.equal(control.beat?.engine.failure?.code, 'host_memory')
  })

  test('a start that fails is told at once, with its cause and the end of its log', async () => {
    await world(simEngine({ startupMs: 200, faults: { startFailure: 'weights_oom' } }))
    machine.startLoop()
    const failure = await until('the failure', () => control.failure)
    assert.equal(failure.code, 'weights_oom')
    assert.match(failure.evidence ?? '', /not enough GPU memory[\s\S]*Engine core initialization failed/)
    assert.equal(control.answered(), 0)
  })

  test('a command that is not there is named, with the PATH that was searched', async () => {
    await world(simEngine({}, { argv: ['vllm-that-is-not-there', 'serve'] }))
    machine.startLoop()
    const failure = await until('the failure', () => control.failure)
    assert.equal(failure.code, 'command_not_found')
    assert.match(failure.cause, /"vllm-that-is-not-there" is in no folder of PATH \(.*bin.*\)/)
    assert.equal(failure.retry, 'not_here')
  })

  test('an engine that serves another name never counts as answering, and the log says why', async () => {
    await world(simEngine({ startupMs: 0 }, { servedName: 'other' }))
    machine.startLoop()
    await until('the hindrance in the log', () => control.lines.some(({ text }) => text.includes('not listed')))
    assert.equal(control.answered(), 0)
  })
})
