import assert from 'node:assert/strict'
import { afterEach, describe, test, vi } from 'vitest'
import { type NoticeService, noticeServices } from '../../core/notice.ts'
import { systemClock } from '../../lib/clock.ts'
import { FakeAwsMetadata, FakeAzureMetadata, FakeGcpMetadata, type FakeMetadata } from '../../sim/metadata.ts'
import type { MetadataCall } from './metadata.ts'
import { afterErrorMs, NoticeWatch, questionsOf } from './watch.ts'

// Only what never comes should reach it.
const promised = { timeout: 30_000, interval: 10 }

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanUps.splice(0)) await clean()
})

async function watched<Service extends FakeMetadata>(
  name: NoticeService,
  service: Service,
  answers: boolean | null = true,
) {
  if (!service.url) await service.listen()
  const stop = new AbortController()
  const said: string[] = []
  let changes = 0
  let wake = (): void => undefined
  const watch = new NoticeWatch({
    service: name,
    url: service.url,
    waitMs: 50,
    clock: systemClock,
    stop: stop.signal,
    onChange: () => {
      changes += 1
      wake()
    },
    say: (text) => said.push(text),
  })
  cleanUps.push(
    () => stop.abort(),
    () => service.close(),
  )
  watch.start()
  await vi.waitFor(() => assert.equal(watch.answers, answers), promised)
  const nextChange = () =>
    new Promise<void>((resolve) => {
      wake = resolve
    })
  return { service, watch, said, changes: () => changes, nextChange }
}

const sees = (watch: NoticeWatch, kind: string | null) =>
  vi.waitFor(() => assert.equal(watch.notice?.kind ?? null, kind), promised)

const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString().replace(/\.\d+/, '')

describe('EC2', () => {
  test('a spot notice is seen with the time that is left, also when the token was forgotten meanwhile', async () => {
    const { service, watch } = await watched('aws', new FakeAwsMetadata())
    assert.deepEqual(watch.notice, null)
    service.forgetTokens()
    service.action = { action: 'terminate', time: inMs(120_000) }
    await sees(watch, 'reclaim')
    const { action, leftMs } = watch.notice ?? { action: null, leftMs: null }
    assert.equal(action, 'terminate')
    assert.ok(leftMs && leftMs > 100_000 && leftMs <= 120_000, `${leftMs} ms left`)
  })

  test('a notice that is repeated with a later time moves no deadline and is told once', async () => {
    const { service, watch, said } = await watched('aws', new FakeAwsMetadata())
    service.slides = true
    service.action = { action: 'stop', time: '' }
    await sees(watch, 'reclaim')
    const deadline = Date.now() + (watch.notice?.leftMs ?? 0)
    const looks = service.asked.length
    await vi.waitFor(() => assert.ok(service.asked.length > looks + 4), promised)
    assert.ok(Math.abs(Date.now() + (watch.notice?.leftMs ?? 0) - deadline) < 1_500)
    assert.deepEqual(said, ['The cloud announces: stop.'])
  })

  test('a rebalance recommendation gives way to the notice that follows it', async () => {
    const { service, watch } = await watched('aws', new FakeAwsMetadata())
    service.rebalance = inMs(0)
    await sees(watch, 'rebalance')
    service.action = { action: 'terminate', time: inMs(120_000) }
    await sees(watch, 'reclaim')
  })

  test('a service that falls silent is told, withdraws nothing, and is told again when it speaks', async () => {
    const { service, watch } = await watched('aws', new FakeAwsMetadata())
    service.action = { action: 'terminate', time: inMs(120_000) }
    await sees(watch, 'reclaim')
    service.silent = true
    await vi.waitFor(() => assert.equal(watch.answers, false), promised)
    assert.equal(watch.notice?.kind, 'reclaim')
    service.silent = false
    await vi.waitFor(() => assert.equal(watch.answers, true), promised)
  })
})

describe('Compute Engine', () => {
  test('a preemption is the answer to the question that hangs: it waits for no other one', async () => {
    const { service, watch, nextChange } = await watched('gcp', new FakeGcpMetadata())
    const hanging = () => service.asked.filter((path) => path.includes('wait_for_change'))
    await vi.waitFor(() => assert.ok(hanging().length >= 2), promised)
    const change = nextChange()
    const before = hanging().length
    service.set('preempted', 'TRUE')
    await change
    assert.equal(watch.notice?.action, 'preempted')
    assert.ok((watch.notice?.leftMs ?? 0) <= 30_000)
    assert.equal(hanging().length, before)
  })

  test('a service that is away while its host is worked on takes nothing back, and is asked until it answers', async () => {
    const { service, watch } = await watched('gcp', new FakeGcpMetadata())
    service.set('maintenance-event', 'TERMINATE_ON_HOST_MAINTENANCE')
    await sees(watch, 'maintenance')
    service.setHostEvent(true)
    await vi.waitFor(() => assert.equal(watch.answers, false), promised)
    assert.equal(watch.notice?.kind, 'maintenance')
    service.set('preempted', 'TRUE')
    service.setHostEvent(false)
    await sees(watch, 'reclaim')
    await vi.waitFor(() => assert.equal(watch.answers, true), promised)
  })

  test('maintenance is asked for from the start and anew after each, for it is announced to nobody else', async () => {
    const service = new FakeGcpMetadata()
    service.set('maintenance-event', 'TERMINATE_ON_HOST_MAINTENANCE')
    const { watch } = await watched('gcp', service)
    assert.equal(watch.notice, null)
    for (const _ of ['first', 'second']) {
      service.set('maintenance-event', 'TERMINATE_ON_HOST_MAINTENANCE')
      await sees(watch, 'maintenance')
      service.set('maintenance-event', 'NONE')
      await sees(watch, null)
    }
  })

  test('maintenance that is withdrawn is no notice any more', async () => {
    const { service, watch } = await watched('gcp', new FakeGcpMetadata())
    service.set('maintenance-event', 'TERMINATE_ON_HOST_MAINTENANCE')
    await sees(watch, 'maintenance')
    service.set('maintenance-event', 'NONE')
    await sees(watch, null)
  })

  test('a migration without an end of the machine is no notice', async () => {
    const { service, watch, changes } = await watched('gcp', new FakeGcpMetadata())
    const before = changes()
    const asked = service.asked.length
    service.set('maintenance-event', 'MIGRATE_ON_HOST_MAINTENANCE')
    await vi.waitFor(() => assert.ok(service.asked.length > asked), promised)
    assert.equal(watch.notice, null)
    assert.equal(changes(), before)
  })
})

describe('each service as it is shipped', () => {
  /** What a question asks the service for, the first time and later, while it announces nothing. */
  async function callsOf(name: NoticeService) {
    const calls: MetadataCall[] = []
    const nothing = { aws: '', gcp: 'NONE', azure: '{"name":"vm-0","Events":[]}' }[name]
    const ask = async (call: MetadataCall) => {
      calls.push(call)
      const status = name === 'aws' && call.method !== 'PUT' ? 404 : 200
      return { status, text: nothing, headers: { etag: 'e1' } }
    }
    const questions = questionsOf(name, () => ({ ask }), systemClock)
    const asked = async () => {
      calls.length = 0
      for (const question of questions) await question.ask()
      return [...calls]
    }
    return { questions, first: await asked(), later: await asked() }
  }

  test.each(noticeServices)('%s is looked at at least every 5 s, also over a connection that died', async (name) => {
    const { questions, later } = await callsOf(name)
    assert.ok(later.length > 0)
    for (const { waitMs } of questions) assert.ok(waitMs <= 5_000)
    for (const { timeoutMs, path } of later) assert.ok(timeoutMs <= 5_000, path)
    assert.ok(afterErrorMs <= 5_000)
  })

  test('Azure has two minutes to switch its events on, the first time that it is asked for them', async () => {
    const { first } = await callsOf('azure')
    const [events] = first.filter(({ path }) => path.includes('scheduledevents'))
    assert.ok(events && events.timeoutMs >= 120_000)
  })
})

const fakes = { aws: FakeAwsMetadata, gcp: FakeGcpMetadata, azure: FakeAzureMetadata }
const garbage: [NoticeService, string][] = [
  ['aws', '{"action"'],
  ['aws', '{"time":"soon"}'],
  ['gcp', '<html>busy</html>'],
  ['azure', '{"name":"vm-0","Events":{}}'],
]

describe('a service that does not do as it should', () => {
  test.each(garbage)('of %s is told as silent and announces nothing: %s', async (name, answer) => {
    const service: FakeMetadata = new fakes[name]()
    service.garbage = { status: 200, text: answer }
    const { watch } = await watched(name, service, false)
    assert.equal(watch.notice, null)
  })

  test('refuses IMDSv2, as to a container behind one hop too many: told as silent, until it answers', async () => {
    const service = new FakeAwsMetadata()
    service.refusesTokens = true
    service.action = { action: 'terminate', time: inMs(120_000) }
    const { watch } = await watched('aws', service, false)
    assert.equal(watch.notice, null)
    service.refusesTokens = false
    await sees(watch, 'reclaim')
    await vi.waitFor(() => assert.equal(watch.answers, true), promised)
  })

  test('never answers, or answers "not found" to everything: no notice, and no other question is held up', async () => {
    const service = new FakeAwsMetadata()
    service.hangsAt = '/latest/meta-data/events/recommendations/rebalance'
    service.action = { action: 'terminate', time: inMs(120_000) }
    const { watch } = await watched('aws', service, null)
    await sees(watch, 'reclaim')
    assert.equal(watch.answers, null)
    const missing = new FakeAzureMetadata()
    missing.garbage = { status: 404, text: '' }
    assert.equal((await watched('azure', missing, false)).watch.notice, null)
  })

  test('says nothing new with a garbled answer: what it announced before stands', async () => {
    const { service, watch } = await watched('azure', new FakeAzureMetadata())
    service.set(event('mine', ['vm-0']))
    await sees(watch, 'reclaim')
    service.garbage = { status: 200, text: '{}' }
    await vi.waitFor(() => assert.equal(watch.answers, false), promised)
    assert.equal(watch.notice?.kind, 'reclaim')
  })
})

const event = (EventId: string, Resources: string[], over = {}) => ({
  EventId,
  EventType: 'Preempt' as const,
  Resources,
  EventStatus: 'Scheduled' as const,
  NotBefore: new Date(Date.now() + 30_000).toUTCString(),
  ...over,
})

describe('Azure', () => {
  test('only events that name this machine count, and a freeze of seconds is none', async () => {
    const { service, watch } = await watched('azure', new FakeAzureMetadata())
    service.set(event('other', ['vm-1']), event('freeze', ['vm-0'], { EventType: 'Freeze' }))
    const asked = service.asked.length
    await vi.waitFor(() => assert.ok(service.asked.length > asked + 1), promised)
    assert.equal(watch.notice?.kind ?? null, null)
    service.set(event('other', ['vm-1']), event('mine', ['vm-0']))
    await sees(watch, 'reclaim')
    assert.ok((watch.notice?.leftMs ?? 0) <= 30_000)
  })

  test('the event is acknowledged when asked for, but never one that names other machines too', async () => {
    const { service, watch } = await watched('azure', new FakeAzureMetadata())
    service.set(event('both', ['vm-0', 'vm-1']))
    await sees(watch, 'reclaim')
    await watch.acknowledge()
    assert.deepEqual(service.acknowledged, [])
    service.set(event('mine', ['vm-0'], { EventType: 'Terminate' }))
    await vi.waitFor(() => assert.equal(watch.notice?.action, 'Terminate'), promised)
    await watch.acknowledge()
    assert.deepEqual(service.acknowledged, ['mine'])
  })

  test('an event that has started names no time any more: that is now, also where nothing was announced before', async () => {
    const { service, watch } = await watched('azure', new FakeAzureMetadata())
    const started = { EventStatus: 'Started' as const }
    service.set(event('no warning', ['vm-0'], { EventType: 'Reboot', ...started }))
    await sees(watch, 'maintenance')
    assert.equal(watch.notice?.leftMs, 0)
    service.set(event('mine', ['vm-0']))
    await sees(watch, 'reclaim')
    const left = watch.notice?.leftMs ?? 0
    assert.ok(left > 10_000, `${left} ms left`)
    service.set(event('mine', ['vm-0'], started))
    await vi.waitFor(() => assert.equal(watch.notice?.leftMs, 0), promised)
    assert.equal(watch.notice?.action, 'Preempt')
  })

  test('the service may take long to be switched on: it is asked once, and is neither silent nor without notice until then', async () => {
    const on = Promise.withResolvers<void>()
    const service = new FakeAzureMetadata()
    service.switchedOn = on.promise
    service.set(event('mine', ['vm-0']))
    const { watch, said } = await watched('azure', service, null)
    const asked = () => service.asked.filter((line) => line.includes('scheduledevents')).length
    await vi.waitFor(() => assert.equal(asked(), 1), promised)
    assert.deepEqual([watch.notice, watch.answers, said], [null, null, []])
    on.resolve()
    await sees(watch, 'reclaim')
    assert.equal(watch.answers, true)
  })

  test('an acknowledgement that the service does not understand is said, and the notice stands', async () => {
    const { service, watch, said } = await watched('azure', new FakeAzureMetadata())
    service.set(event('', ['vm-0']))
    await sees(watch, 'reclaim')
    await watch.acknowledge()
    assert.match(said.at(-1) ?? '', /could not be told that Preempt may go ahead: .* answered 400/)
    assert.deepEqual(service.acknowledged, [])
    assert.equal(watch.notice?.kind, 'reclaim')
  })

  test('an event that disappears was cancelled', async () => {
    const { service, watch } = await watched('azure', new FakeAzureMetadata())
    service.set(event('mine', ['vm-0']))
    await sees(watch, 'reclaim')
    service.set()
    await sees(watch, null)
  })
})
