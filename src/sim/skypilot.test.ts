import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, test, vi } from 'vitest'
import { SimSkyPilot } from './skypilot.ts'

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

const launch = (name: string) =>
  post('/launch', { cluster_name: name, task: 'resources:\n  infra: "slurm/lab/main"\n' }).then(over)

/** What a value is made of, with what our client never reads left out. */
function shapeOf(value: unknown): unknown {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf)
  if (typeof value !== 'object') return typeof value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, keysOnly.has(key) ? 'any' : shapeOf(one)]))
}

// Null or a text by the kind of request, which tells our client nothing.
const keysOnly = new Set(['pid', 'user_name', 'cluster_name', 'error', 'request_body', 'entrypoint', 'status_msg'])

function sameAs(answer: { status: number; body: unknown }, file: string): void {
  assert.equal(answer.status, Number(/http(\d+)/.exec(file)?.[1]))
  assert.deepEqual(shapeOf(answer.body), shapeOf(recorded(file)))
}

test('a launch that ends well is answered as the real one was', async () => {
  sameAs(await launch('fd-a'), 'api_get.launch.SUCCEEDED.http200.json')
})

test('a launch without room is answered as the real one was, in two levels of JSON', async () => {
  sky.faults.full = new Set(['lab/main'])
  const answer = await launch('fd-b')
  sameAs(answer, 'api_get.launch.FAILED.no_capacity.http500.json')
  const error = (body: unknown) => JSON.parse((body as { detail: { error: string } }).detail.error) as { type: string }
  assert.equal(error(answer.body).type, error(recorded('api_get.launch.FAILED.no_capacity.http500.json')).type)
})

test('ends, cancels, lists and look-ups are answered as the real ones were', async () => {
  await launch('fd-a')
  sameAs(await over(await post('/queue', { cluster_name: 'fd-a' })), 'api_get.queue.SUCCEEDED.http200.json')
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
  const response = await fetch(`${url}/api/health`, { headers: { 'x-skypilot-api-version': '10' } })
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
  sky.vanish('fd-a')
  sameAs(await events({ cluster_name: 'fd-a', cluster_hash: null }), 'api_get.cluster_events.FAILED.http500.json')
  const told = (await events({ cluster_name: null, cluster_hash: 'hash-of-fd-a' })).body as { return_value: string }
  assert.match(told.return_value, /All nodes terminated, cleaning up the cluster\."[^}]*}]$/)
})
