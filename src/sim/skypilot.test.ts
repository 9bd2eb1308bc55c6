import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, test, vi } from 'vitest'
import { isStep } from '../clouds/skypilot/steps.ts'
import { StreamDecoder } from '../clouds/skypilot/stream.ts'
import { SimSkyPilot } from './skypilot.ts'
import { launchSteps } from './skypilot-said.ts'

const folder = join(import.meta.dirname, '../../test/fixtures/skypilot')
const recorded = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), 'utf8'))
const headers = { 'content-type': 'application/json', 'x-skypilot-api-version': '62' }

let sky: SimSkyPilot
let url: string
beforeEach(async () => {
  sky = new SimSkyPilot()
  url = await sky.start()
})
afterEach(() => sky.stop())

async function post(path: string, body: object): Promise<string> {
  const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  assert.deepEqual([response.status, await response.text()], [200, 'null'])
  return response.headers.get('x-skypilot-request-id') ?? ''
}

async function get(id: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${url}/api/get?request_id=${id}`, { headers })
  return { status: response.status, body: await response.json() }
}

async function over(id: string): Promise<{ status: number; body: unknown }> {
  await vi.waitFor(async () => {
    const rows = (await (await fetch(`${url}/api/status?request_ids=${id}`)).json()) as { finished_at: unknown }[]
    assert.ok(rows[0]?.finished_at)
  })
  return get(id)
}

const onMain = { name: 'fd-a', place: 'lab/main', gpus: 'H100:1' }
/** A launch of eight GPUs in whichever partition has them. */
const anywhere = (name: string) => ({ cluster_name: name, task: 'infra: "slurm/lab"\naccelerators: "H100:8"\n' })
const launch = (name: string) =>
  post('/launch', { cluster_name: name, task: 'resources:\n  infra: "slurm/lab/main"\n' }).then(over)

/** What a value is made of, with what our client never reads left out. */
function shapeOf(value: unknown): unknown {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf)
  if (typeof value !== 'object') return typeof value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, keysOnly.has(key) ? 'any' : shapeOf(one)]))
}

/** The shape of what stands inside the JSON of an answer. */
const insideOf = (body: unknown) => shapeOf(JSON.parse((body as { return_value: string }).return_value))

const [waitingRow] = recorded('api_status.waiting.rows.json') as unknown[]

// Null or a text by the kind of request, which tells our client nothing.
const keysOnly = new Set(['pid', 'user_name', 'cluster_name', 'error', 'request_body', 'entrypoint', 'status_msg'])

function sameAs(answer: { status: number; body: unknown }, file: string): void {
  assert.equal(answer.status, Number(/http(\d+)/.exec(file)?.[1]))
  assert.deepEqual(shapeOf(answer.body), shapeOf(recorded(file)))
}

test('a launch that ends well is answered as the real one was', async () => {
  sameAs(await launch('fd-a'), 'api_get.launch.SUCCEEDED.http200.json')
})

test('a launch without room is answered as the real one was, word for word, in two levels of JSON', async () => {
  sky.faults.full = new Set(['lab/main', 'lab/spot'])
  const answer = await over(await post('/launch', anywhere('fd-b')))
  sameAs(answer, 'api_get.launch.FAILED.no_capacity.http500.json')
  const error = (body: unknown) => JSON.parse((body as { detail: { error: string } }).detail.error) as object
  const real = error(recorded('api_get.launch.FAILED.no_capacity.http500.json'))
  assert.deepEqual({ ...error(answer.body), object: '' }, { ...real, object: '' })
})

interface Timed {
  readonly atMs: number
  readonly text: string
}

function timedLines(file: string): Timed[] {
  const lines = readFileSync(join(folder, file), 'utf8').split('\n')
  return lines.flatMap((line) => {
    const [, s, text] = /^ *(\d+\.\d+) ?(.*)$/s.exec(line) ?? []
    return s === undefined || text === undefined ? [] : [{ atMs: Number(s) * 1_000, text }]
  })
}

/** What a launch writes from now on, each line at the time that was recorded for it. */
function writtenFromNowOn(): Timed[] {
  const lines: Timed[] = []
  let atMs = 0
  const later = sky.work.later.bind(sky.work)
  sky.work.later = (id, act, recordedMs) => {
    atMs += recordedMs
    later(id, act, recordedMs)
  }
  sky.onLine = (text) => lines.push({ atMs, text })
  return lines
}

test('a launch tells its steps as the recorded one did, in its order and with its times', async () => {
  const steps = (lines: readonly Timed[]) => {
    const decoder = new StreamDecoder()
    return lines.flatMap(({ atMs, text }) =>
      decoder.push(`${text}\n`).flatMap((item) => (item.n > 0 && isStep(item.text) ? [{ atMs, text: item.text }] : [])),
    )
  }
  const faked = launchSteps(onMain).flatMap(({ atMs, log }) => log.map((text) => ({ atMs, text })))
  const [real, fake] = [steps(timedLines('launch_success.new_cluster.console_stream.timed.txt')), steps(faked)]
  assert.deepEqual(
    fake.map(({ text }) => text),
    real.map(({ text }) => text),
  )
  // Lines between two events of the cluster are written with the first: 12.4 s stands at 8.7 s.
  for (const [i, { atMs, text }] of fake.entries()) {
    const late = (real[i]?.atMs ?? 0) - atMs
    assert.ok(late > -1_000 && late < 4_000, `${text}: ${late} ms`)
  }
})

/** Without ids and times of day; and without the warning that a partition of the recorded Slurm had no time limit. */
const plain = (lines: readonly string[], id: string): string[] =>
  lines
    .filter((line) => !/has no MaxTime or DefaultTime configured/.test(line))
    .map((line) => line.replaceAll(id, 'ID').replace(/sky-20[\d-]+/, 'sky-NOW'))

test('a launch that finds room nowhere says of each place what the recorded one said, every line at its time', async () => {
  const real = timedLines('launch_failover_fail.console_stream.timed.txt')
  Object.assign(sky.faults, { full: new Set(['lab/main', 'lab/spot']), stopBefore: 'placing' })
  const written = writtenFromNowOn()
  const id = await post('/launch', anywhere('fd-b'))
  const stream = await fetch(`${url}/api/stream?request_id=${id}&format=console`)
  let told = ''
  for await (const chunk of (stream.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    told += chunk
    // The first words are those of a request that waits for a worker.
    if (told.includes('to be scheduled')) sky.faults.stopBefore = null
  }
  const [realId = ''] = /[\da-f]{8}-[\da-f-]{27}/.exec(real[0]?.text ?? '') ?? []
  const realLines = real.map(({ text }) => text)
  assert.deepEqual(plain(told.trimEnd().split('\n'), id), plain(realLines, realId))

  const ofTheRequest = real.filter(({ text }) => plain([text], realId).length > 0).slice(4, -1)
  assert.equal(written.length, ofTheRequest.length)
  for (const [i, { atMs, text }] of written.entries()) {
    const late = atMs - (ofTheRequest[i]?.atMs ?? Number.NaN)
    assert.ok(Math.abs(late) < 750, `${text}: ${late} ms`)
  }
})

test('a launch that one partition has no room for goes on at the next, and succeeds there', async () => {
  sky.faults.full = new Set(['lab/main'])
  const written = writtenFromNowOn()
  assert.equal((await over(await post('/launch', anywhere('fd-f')))).status, 200)
  const said = written.map(({ text }) => text).join(' ')
  assert.match(said, /Launching on Slurm lab.*\(main\).*in main for.*Trying other.*\(spot\).*Job submitted/s)
  assert.doesNotMatch(said, /Failed to provision/)
})

test('its row shows the events that were polled, as long as they were', async () => {
  const polled = readFileSync(join(folder, 'launch_success.polled.txt'), 'utf8').split('\n')
  const seen = polled.flatMap((line) => {
    const [, s, list] = /^(\d+\.\d+) .*cluster=(.*)$/.exec(line) ?? []
    const [row] = list === undefined ? [] : (JSON.parse(list) as [string, string][])
    return row ? [{ atMs: Number(s) * 1_000, event: row[1] }] : []
  })
  for (const { atMs, event } of launchSteps(onMain)) {
    const first = seen.find((one) => one.event === event)
    if (first) assert.ok(Math.abs(first.atMs - atMs) < 1_000, `${event}: ${first.atMs} ms, not ${atMs}`)
  }
  const events = launchSteps(onMain).flatMap(({ event }) => event ?? [])
  assert.deepEqual(events, [...new Set(seen.map(({ event }) => event))])
})

test('a launch that tries for ever waits between its rounds as the real one did, and its end ends it', async () => {
  sky.faults.full = new Set(['lab/main'])
  const id = await post('/launch', { cluster_name: 'fd-g', task: 'infra: slurm/lab/main', retry_until_up: true })
  const row = async () => ((await (await fetch(`${url}/api/status?request_ids=${id}`)).json()) as object[])[0]
  let waiting: unknown
  await vi.waitFor(async () => {
    waiting = await row()
    assert.match(JSON.stringify(waiting), /"WAITING".*Failed to provision all.*\(retrying in 30s\)/)
  })
  assert.deepEqual(shapeOf(waiting), shapeOf(waitingRow))
  await over(await post('/down', { cluster_name: 'fd-g' }))
  sameAs(await get(id), 'api_get.launch.CANCELLED.http200.json')
})

test('a request that waits for a worker is pending, and a job for its machine too', async () => {
  sky.faults.stopBefore = 'placing'
  const id = await post('/launch', { cluster_name: 'fd-p', task: 'infra: slurm/lab/main' })
  assert.equal(sky.requests.get(id)?.status, 'PENDING')
  Object.assign(sky.faults, { stopBefore: null, jobState: 'PENDING' })
  await over(id)
  assert.deepEqual(sky.machines.get('fd-p')?.jobs, ['PENDING'])
})

test('ends, cancels, lists and look-ups are answered as the real ones were', async () => {
  await launch('fd-a')
  const queue = await over(await post('/queue', { cluster_name: 'fd-a' }))
  sameAs(queue, 'api_get.queue.SUCCEEDED.http200.json')
  assert.deepEqual(insideOf(queue.body), insideOf(recorded('api_get.queue.SUCCEEDED.http200.json')))
  sameAs(await over(await post('/queue', { cluster_name: 'fd-nope' })), 'api_get.queue.FAILED.http500.json')
  sameAs(await over(await post('/slurm_gpu_availability', {})), 'api_get.slurm_gpu_availability.SUCCEEDED.http200.json')
  sameAs(await over(await post('/list_accelerators', {})), 'api_get.list_accelerators.SUCCEEDED.http200.json')
  sameAs(await over(await post('/status', { cluster_names: null })), 'api_get.status.SUCCEEDED.http200.json')
  sameAs(await over(await post('/down', { cluster_name: 'fd-a' })), 'api_get.down.SUCCEEDED.http200.json')
  sameAs(await over(await post('/down', { cluster_name: 'fd-nope' })), 'api_get.down.FAILED.http500.json')
  sameAs(await over(await post('/api/cancel', { request_ids: ['x'] })), 'api_get.api_cancel.SUCCEEDED.http200.json')
  sameAs(await get('00000000-0000-0000-0000-000000000000'), 'api_get.unknown.http404.json')
})

test('every field of a recorded row of the cluster list that our client reads is there', async () => {
  await launch('fd-a')
  const answer = (await over(await post('/status', { cluster_names: null }))).body as { return_value: string }
  const [row] = JSON.parse(answer.return_value) as Record<string, unknown>[]
  const real = recorded('api_get.status.SUCCEEDED.http200.json') as { return_value: string }
  const [realRow] = JSON.parse(real.return_value) as Record<string, unknown>[]
  for (const key of Object.keys(row ?? {})) assert.equal(typeof row?.[key], typeof realRow?.[key], key)
})

test('a cancelled launch leaves its machine running, as the real one was seen to', async () => {
  sky.faults.stopBefore = 'runtime'
  const id = await post('/launch', { cluster_name: 'fd-d', task: 'infra: slurm/lab/main' })
  await vi.waitFor(() => assert.ok(sky.machines.has('fd-d')))
  await over(await post('/api/cancel', { request_ids: [id] }))
  sameAs(await get(id), 'api_get.launch.CANCELLED.http200.json')
  assert.ok(sky.machines.has('fd-d') && sky.clusters.has('fd-d'))
})

test('a second launch under one name is a second job on one machine', async () => {
  await launch('fd-a')
  await launch('fd-a')
  assert.equal(sky.machines.size, 1)
  assert.equal(sky.machines.get('fd-a')?.jobs.length, 2)
})

test('an old client is refused', async () => {
  const response = await fetch(`${url}/api/health`, {
    headers: { 'x-skypilot-api-version': '10', 'x-skypilot-version': '0.8.0' },
  })
  assert.equal(response.status, 400)
  assert.deepEqual(
    Object.keys((await response.json()) as object),
    Object.keys(recorded('too_old_client.http400.json') as object),
  )
})

test('what happened to a cluster is told by its hash also after its end, and by its name only before', async () => {
  await launch('fd-a')
  const events = async (what: object) => over(await post('/cluster_events', { event_type: 'STATUS_CHANGE', ...what }))
  sameAs(await events({ cluster_name: 'fd-a', cluster_hash: null }), 'api_get.cluster_events.SUCCEEDED.http200.json')
  const reasons = (body: unknown) =>
    (JSON.parse((body as { return_value: string }).return_value) as { reason: string }[]).map(({ reason }) => reason)
  const all = await events({ cluster_name: 'fd-a', cluster_hash: null })
  assert.deepEqual(reasons(all.body), reasons(recorded('api_get.cluster_events.SUCCEEDED.http200.json')))
  sky.vanish('fd-a')
  sameAs(await events({ cluster_name: 'fd-a', cluster_hash: null }), 'api_get.cluster_events.FAILED.http500.json')
  const told = (await events({ cluster_name: null, cluster_hash: 'hash-of-fd-a' })).body as { return_value: string }
  assert.match(told.return_value, /All nodes terminated, cleaning up the cluster\."[^}]*}]$/)
})
