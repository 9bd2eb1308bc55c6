import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'vitest'
import type { EngineSpec } from '../wire/agent.ts'
import { reverse } from '../wire/paths.ts'
import { FakeControl, hasEnded, Machine, simEngine, textOf, until } from './world-for-tests.ts'

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

describe('orders', () => {
  test('drain: what is in flight is finished, nothing new can come in, then it says drained', async () => {
    await world(simEngine({ startupMs: 0, tokensPerS: 20 }))
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const response = await control.send('POST', '/v1/chat/completions', { ...ask, max_tokens: 20, stream: true })
    control.reply = { ...control.reply, order: 'drain', drainDeadlineMs: 30_000 }
    await until('it drains', () => control.beat?.draining)
    await until('the spares are withdrawn', () => control.spares.length === 0)
    assert.equal(control.beat?.drained, false)
    assert.match(await textOf(response), /\[DONE\]/)
    await until('it is drained', () => control.beat?.drained)
    control.reply = { ...control.reply, order: 'run', drainDeadlineMs: null }
    await until('it dials again', () => control.spares.length > 0)
    assert.equal((await control.send('POST', '/v1/chat/completions', ask)).statusCode, 200)
  })

  test('drain: at the deadline what is left is cut, and the cut is not dressed up as an end', async () => {
    await world(simEngine({ startupMs: 0, tokensPerS: 5 }))
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const response = await control.send('POST', '/v1/chat/completions', { ...ask, max_tokens: 4_000, stream: true })
    control.reply = { ...control.reply, order: 'drain', drainDeadlineMs: 300 }
    await assert.rejects(textOf(response), /aborted/)
    await until('it is drained', () => control.beat?.drained)
  })

  test('an agent that is too old for its control plane says so, and goes on serving what gateways send', async () => {
    await world()
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    control.refuse.agent = 426
    await until('it is told', () => machine.tryRead('agent.log')?.includes('does not understand this agent any more'))
    assert.equal((await control.send('POST', '/v1/chat/completions', ask)).statusCode, 200)
  })

  test('end: the engine is gone and the loop ends with 0', async () => {
    await world()
    const loop = machine.startLoop()
    await until('the engine answered', () => control.answered())
    control.reply = { ...control.reply, order: 'end' }
    await until('the loop is gone', () => hasEnded(loop))
    assert.equal(loop.exitCode, 0)
    assert.deepEqual(machine.processes(), [])
  })

  test('a second holder of the credential is told to stand aside: its sockets go, its engine stays', async () => {
    await world()
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    control.refuse = { agent: 409, connect: 409 }
    await until('its sockets are gone', () => control.spares.length === 0)
    assert.equal(machine.engines().length, 1)
  })

  test('of two agents with one credential exactly one serves; the other keeps its engine and waits', async () => {
    await world()
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const first = control.incarnation
    const copy = machine.copy()
    copy.startLoop()
    try {
      await until('the copy is known', () => control.incarnation !== first)
      await until('the first stands aside', () => machine.read('agent.log').includes('standing aside'))
      assert.equal(machine.engines().length, 1)
    } finally {
      assert.deepEqual(await copy.clean(), [])
    }
  })

  test('a start that was heard but died before it knew does not lock its successors out', async () => {
    await world()
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const agent = await until('the agent', () => machine.agentPid())
    process.kill(agent, 'SIGSTOP')
    writeFileSync(join(machine.dir, 'incarnation'), `${machine.read('incarnation').trim()}\nheard-but-dead`)
    control.incarnation = 'heard-but-dead'
    const heard = control.heartbeats.length
    process.kill(agent, 'SIGKILL')
    await until('a heartbeat that is taken', () => control.heartbeats.length > heard)
    assert.equal(control.beat?.previous, 'heard-but-dead')
  })

  test('without a word from anybody it ends when its lease has run out', async () => {
    await world()
    control.reply = { ...control.reply, leaseMs: 1_500 }
    const loop = machine.startLoop()
    await until('the engine answered', () => control.answered())
    control.refuse = { agent: 503, connect: 503 }
    for (const socket of control.spares) socket.destroy()
    await until('the loop is gone', () => hasEnded(loop))
    assert.equal(loop.exitCode, 0)
    assert.match(machine.read('agent.log'), /lease has run out/)
  })

  test('requests renew the lease while the control plane is away', async () => {
    await world()
    control.reply = { ...control.reply, leaseMs: 1_500 }
    const loop = machine.startLoop()
    await until('the engine answered', () => control.answered())
    control.refuse = { agent: 503 }
    const until3s = performance.now() + 3_000
    while (performance.now() < until3s) {
      const response = await control.send('POST', '/v1/chat/completions', ask)
      assert.match(await textOf(response), /chat\.completion/)
    }
    assert.equal(loop.exitCode, null)
  })
})

describe('over a lent connection', () => {
  test('only what is on the list reaches the engine', async () => {
    await world()
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    for (const path of ['/v1/models', '/health', '/metrics']) {
      const response = await control.send('GET', path)
      await textOf(response)
      assert.equal(response.statusCode, 200, path)
    }
    for (const [method, path] of [
      ['POST', '/pause'],
      ['GET', '/version'],
      ['DELETE', '/v1/models'],
      ['POST', '/sim/faults'],
    ] as const) {
      const response = await control.send(method, path)
      assert.equal(response.statusCode, 404, path)
      assert.match(await textOf(response), /"code":"not_found"/)
    }
  })

  test('a nudge brings a heartbeat at once', async () => {
    await world()
    control.reply = { ...control.reply, heartbeatMs: 60_000 }
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    await until('the beats of the start are over', () => control.beat?.engine.state === 'serving')
    const before = control.heartbeats.length
    const response = await control.send('POST', reverse.nudgePath)
    assert.equal(response.statusCode, 204)
    response.resume()
    await until('a heartbeat', () => control.heartbeats.length > before, 1_000)
  })

  test('more sockets come when they are asked for, and one spare stays when all are used', async () => {
    await world(simEngine({ startupMs: 0, tokensPerS: 50 }))
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const first = await control.send('GET', '/health', null, { [reverse.dialHeader]: '5' })
    first.resume()
    await until('five more', () => control.spares.length === 6)
    const streams = []
    for (let i = 0; i < 8; i++)
      streams.push(await control.send('POST', '/v1/chat/completions', { ...ask, max_tokens: 50, stream: true }))
    await until('one spare', () => control.spares.length >= 1)
    await until('all counted', () => control.beat?.load.inFlight === 8)
    for (const stream of streams) assert.match(await textOf(stream), /\[DONE\]/)
  })

  test('a client that is gone is gone for the engine, too', async () => {
    await world(simEngine({ startupMs: 0, tokensPerS: 5 }))
    machine.startLoop()
    await until('the engine answered', () => control.answered())
    const response = await control.send('POST', '/v1/chat/completions', { ...ask, max_tokens: 4_000, stream: true })
    response.on('error', () => response.destroy())
    response.destroy()
    const busy = /num_requests_running\{[^}]*\} [1-9]/
    while (busy.test(await textOf(await control.send('GET', '/metrics'))))
      await until('a heartbeat without load', () => control.beat?.load.inFlight === 0)
  })
})
