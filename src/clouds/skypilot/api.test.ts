import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeEach, describe, test } from 'vitest'
import { server, startServers } from '../../../test/sky-server.ts'
import type { SkyCall } from '../../sim/skypilot-http.ts'
import { SkyApi, SkyError } from './api.ts'
import { readFinished } from './api-answers.ts'

startServers()

const name = 'fd-tests-audit'
const token = 'sky_secret'
let api: SkyApi
let calls: SkyCall[]
beforeEach(() => {
  calls = []
  server.sky.faults.token = token
  server.sky.onCall = (call) => calls.push(call)
  api = new SkyApi({ url: server.url, token, userId: 'f11e4dec', command: 'flightdeck d' })
})

/** Everything that this client can ask, once. */
async function askEverything(): Promise<void> {
  const launch = await api.launch({ clusterName: name, task: 'infra: "slurm/lab/main"' })
  for await (const _ of api.stream(launch, new AbortController().signal)) await api.openRequests()
  await api.requestsOf(name)
  await api.pastRequests(10)
  await api.finished(launch)
  await api.clusters()
  await api.clusters([name])
  await api.refresh([name])
  await api.clusterEvents(`hash-of-${name}`)
  await api.jobStates(name)
  await api.lastLines(name, 5)
  await api.endpoint(name, 8_443)
  await api.enabledInfra()
  await api.accelerators('slurm', null)
  await api.slurmFreeGpus()
  await api.cancel([launch])
  await api.down(name)
}

const posted = (path: string) => calls.filter(({ method, url }) => method === 'POST' && url.pathname === path)

describe('whatever is asked of the server', () => {
  test('says with both headers which version it was tested with, and who asks, by a header alone', async () => {
    await askEverything()
    for (const { headers, url, body } of calls) {
      assert.equal(headers['x-skypilot-api-version'], '62', url.pathname)
      assert.equal(headers['x-skypilot-version'], '0.14.1', url.pathname)
      assert.equal(headers.authorization, `Bearer ${token}`, url.pathname)
      assert.ok(!url.href.includes(token) && !JSON.stringify(body).includes(token))
    }
    assert.ok(new Set(calls.map(({ url }) => url.pathname)).size >= 13)
  })

  test('wants no credentials of any cluster, and says so where leaving it out would bring them', async () => {
    await askEverything()
    const asking = [...posted('/status'), ...posted('/launch')]
    assert.ok(asking.length >= 4)
    for (const { body, url } of asking) assert.equal(body['include_credentials'], false, url.pathname)
    for (const { body } of posted('/status')) assert.equal(body['include_handle'], false)
  })

  test('names its user whole and always the same: half of it makes the server fail, and the id is part of cloud names', async () => {
    await askEverything()
    for (const { body } of calls.filter(({ method }) => method === 'POST'))
      assert.deepEqual(body['env_vars'], { SKYPILOT_USER_ID: 'f11e4dec', SKYPILOT_USER: 'flightdeck' })
  })

  test('never holds the line: a result is fetched only of a request that is over', async () => {
    const early: string[] = []
    server.sky.onCall = ({ url }) => {
      const request = server.sky.requests.get(url.searchParams.get('request_id') ?? '')
      if (url.pathname === '/api/get' && request?.finishedAt === null) early.push(request.verb)
    }
    await askEverything()
    assert.deepEqual(early, [])
  })

  test('asks for no tries without end, and ends no request but those that it names', async () => {
    await askEverything()
    assert.ok(posted('/launch').every(({ body }) => body['retry_until_up'] === false))
    await api.cancel([])
    const named = posted('/api/cancel').map(({ body }) => body['request_ids'] as string[])
    assert.deepEqual(
      named.map(({ length }) => length),
      [1],
    )
    assert.ok(posted('/down').every(({ body }) => body['purge'] === false))
  })
})

describe('whatever is answered', () => {
  test('is read as JSON inside JSON; a pickle is never read, and is nothing', () => {
    const row = {
      request_id: 'r',
      name: 'sky.launch',
      status: 'SUCCEEDED',
      entrypoint: 'gASVHAAA',
      request_body: 'gASV',
    }
    assert.equal(readFinished({ ...row, return_value: 'gAROLg==', error: 'null' }).value, null)
    const both = readFinished({ ...row, return_value: '{"job_id":1,"handle":"gAROLg=="}', error: '"gAROLg=="' })
    assert.deepEqual([both.value, both.failure], [{ job_id: 1, handle: 'gAROLg==' }, null])
    const error = JSON.stringify({ object: 'gASV', type: 'ValueError', message: '\u001b[31mno\u001b[0m' })
    assert.deepEqual(readFinished({ ...row, return_value: 'null', error }).failure, {
      type: 'ValueError',
      message: 'no',
    })
  })

  test('is looked at for its status first: a refusal has a request id, too', async () => {
    server.sky.faults.busy = 1
    await assert.rejects(api.down(name), (error: SkyError) => error.kind === 'busy')
    server.sky.faults.token = 'another'
    await assert.rejects(
      api.down(name),
      (error: SkyError) => error.kind === 'unauthorised' && !error.message.includes(token),
    )
    assert.equal(server.sky.requests.size, 0)
  })

  test.each([
    [400, 'rejected'],
    [422, 'rejected'],
    [429, 'busy'],
    [500, 'unreachable'],
    [502, 'unreachable'],
    [503, 'busy'],
    [504, 'unreachable'],
  ] as const)(
    'with status %i is %s: only what refuses the call itself says that it was not taken',
    async (status, kind) => {
      const proxy = createServer((_, response) => response.writeHead(status).end('<html>'))
      await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening))
      const { port } = proxy.address() as AddressInfo
      const behind = new SkyApi({ url: `http://127.0.0.1:${port}`, userId: 'f11e4dec', command: 'flightdeck d' })
      const ask = { clusterName: name, task: 'infra: "slurm/lab/main"' }
      await assert.rejects(behind.launch(ask), (error: SkyError) => error.kind === kind)
      proxy.close()
    },
  )

  test('from something else at that address is no answer, wherever it sends us', async () => {
    const asked: string[] = []
    const stranger = createServer((request, response) => {
      asked.push(String(request.url))
      if (request.url === '/down') response.writeHead(307, { location: '/elsewhere' }).end()
      else response.writeHead(200, { 'content-type': 'application/json' }).end('null')
    })
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`
    const misled = new SkyApi({ url, token, userId: 'f11e4dec', command: 'flightdeck d' })
    await assert.rejects(misled.down(name), SkyError)
    await assert.rejects(misled.clusters(), (error: SkyError) => /no SkyPilot API server/.test(error.message))
    assert.ok(!asked.includes('/elsewhere'), 'the token goes where it was configured to go')
    await new Promise((resolve) => stranger.close(resolve))
  })
})
