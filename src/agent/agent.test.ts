import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'vitest'
import type { EngineSpec } from '../wire/agent.ts'
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

describe('a whole life', () => {
  test('it joins, starts the engine, says that it answers, serves, and ends when it is told to', async () => {
    await world()
    const loop = machine.startLoop()
    await until('the engine answered', () => control.answered())
    const response = await control.send('POST', '/v1/chat/completions', ask, { authorization: 'Bearer client' })
    assert.equal(response.statusCode, 200)
    assert.match(await textOf(response), /chat\.completion/)
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
