import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'vitest'
import { FakeAwsMetadata, FakeAzureMetadata, type FakeMetadata } from '../../sim/metadata.ts'
import { FakeControl, hasEnded, Machine, simEngine, textOf, until } from '../world-for-tests.ts'

let control: FakeControl
let machine: Machine
let metadata: FakeMetadata

/** A machine that serves, in a cloud whose metadata service is on loopback. */
async function serving<Service extends FakeMetadata>(
  service: Service,
  noticeService: FakeControl['noticeService'],
  sim: object = { startupMs: 0 },
): Promise<Service> {
  control = new FakeControl(simEngine(sim))
  control.noticeService = noticeService
  await control.listen()
  metadata = await service.listen()
  machine = new Machine(control, { FLIGHTDECK_METADATA_URL: service.url })
  machine.startLoop()
  await until('the engine answered', () => control.answered())
  await until('a spare socket', () => control.spares.length > 0)
  return service
}

afterEach(async () => {
  const left = await machine.clean()
  await control.close()
  await metadata.close()
  assert.deepEqual(left, [], 'no process of the machine outlives its loop')
})

const streamed = (tokens: number) => ({
  model: 'tiny',
  messages: [{ role: 'user', content: 'hi' }],
  max_tokens: tokens,
  stream: true,
})
const preempt = () => ({
  EventId: 'mine',
  EventType: 'Preempt' as const,
  Resources: ['vm-0'],
  EventStatus: 'Scheduled' as const,
  NotBefore: new Date(Date.now() + 30_000).toUTCString(),
})
const terminate = () => ({ action: 'terminate' as const, time: new Date(Date.now() + 120_000).toISOString() })
const told = (kind: string | null) =>
  until(`the control plane is told: ${kind}`, () => {
    const last = control.notices.at(-1)
    return last !== undefined && (last.notice?.kind ?? null) === kind && last
  })

describe('a notice', () => {
  test('takes the spare sockets away although the control plane is away; streams finish; then it is acknowledged', async () => {
    const azure = await serving(new FakeAzureMetadata(), 'azure', { startupMs: 0, tokensPerS: 20 })
    await told(null)
    control.refuse.agent = 503
    const stream = await control.send('POST', '/v1/chat/completions', streamed(60))
    azure.set(preempt())
    await until('no spare is left', () => control.spares.length === 0, 5_000)
    assert.deepEqual(azure.acknowledged, [])
    assert.match(await textOf(stream), /\[DONE\]/)
    await until('the event is acknowledged', () => azure.acknowledged.length > 0)
    control.refuse = {}
    const { notice, serviceAnswers } = await told('reclaim')
    assert.deepEqual([notice?.source, notice?.action, serviceAnswers], ['azure', 'Preempt', true])
    assert.ok((notice?.leftMs ?? 99_000) < 30_000)
  })

  test('that is withdrawn brings the sockets back', async () => {
    const aws = await serving(new FakeAwsMetadata(), 'aws')
    aws.action = terminate()
    await until('no spare is left', () => control.spares.length === 0, 5_000)
    await told('reclaim')
    aws.action = null
    await told(null)
    await until('a spare socket', () => control.spares.length > 0)
  })

  test('is told again by an agent that was killed in the middle of it, and nothing is taken back in between', async () => {
    const aws = await serving(new FakeAwsMetadata(), 'aws')
    aws.action = terminate()
    const first = await told('reclaim')
    process.kill(await until('the agent', () => machine.agentPid()), 'SIGKILL')
    const again = await until('the next agent tells', () =>
      control.notices.find(({ incarnation }) => incarnation !== first.incarnation),
    )
    assert.equal(again.notice?.kind, 'reclaim')
  })

  test('of a machine whose cloud has no such service is never asked for', async () => {
    const nobody = await serving(new FakeAwsMetadata(), null)
    await until('some heartbeats', () => control.heartbeats.length > 5)
    assert.deepEqual(nobody.asked, [])
    assert.deepEqual(control.notices, [])
  })
})

describe('SIGTERM', () => {
  test('counts as a notice: told at once, requests finish, and the next agent takes it back', async () => {
    await serving(new FakeAwsMetadata(), null, { startupMs: 0, tokensPerS: 20 })
    const stream = await control.send('POST', '/v1/chat/completions', streamed(60))
    const agent = await until('the agent', () => machine.agentPid())
    process.kill(agent, 'SIGTERM')
    const { notice } = await told('reclaim')
    assert.equal(notice?.source, 'signal')
    assert.ok((notice?.leftMs ?? 0) > 20_000)
    await until('no spare is left', () => control.spares.length === 0)
    assert.match(await textOf(stream), /\[DONE\]/)
    await told(null)
    await until('a spare socket', () => control.spares.length > 0)
    assert.notEqual(machine.agentPid(), agent)
    assert.equal(existsSync(join(machine.dir, 'told-of-signal')), false)
  })

  test('to the loop leaves requests the time to finish, and nothing else', async () => {
    await serving(new FakeAwsMetadata(), null, { startupMs: 0, tokensPerS: 20 })
    const stream = await control.send('POST', '/v1/chat/completions', streamed(60))
    const [loop] = machine.loops
    loop?.kill('SIGTERM')
    assert.match(await textOf(stream), /\[DONE\]/)
    await until('the loop is gone', () => loop && hasEnded(loop))
    assert.deepEqual(machine.processes(), [])
  })
})
