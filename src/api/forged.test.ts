import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApi, type TestApi } from './api-for-tests.ts'

const forged = 10_000
const atOnce = 50

let at: TestApi
const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
beforeAll(async () => {
  at = await startTestApi()
})
afterAll(async () => {
  agent.destroy()
  await at?.end()
})

const heartbeat = JSON.stringify({
  incarnation: 'incarnation-1',
  previous: null,
  agentVersion: '0.1.0',
  engine: { state: 'serving', version: '0.32', restarts: 0, failure: null },
  load: { inFlight: 3, busyMs: 10, requests: 1, spareSockets: 1 },
  gpus: [],
  draining: false,
  drained: false,
})

async function beat(credential: string): Promise<{ status: number; wait: string | undefined }> {
  const headers = { authorization: `Bearer ${credential}`, 'content-type': 'application/json' }
  const call = request(`${at.api.url}/agent/heartbeat`, { method: 'POST', agent, headers })
  call.end(heartbeat)
  const reply = await new Promise<IncomingMessage>((resolve, reject) =>
    call.once('response', resolve).once('error', reject),
  )
  await text(reply)
  return { status: reply.statusCode ?? 0, wait: reply.headers['retry-after'] }
}

async function figure(line: RegExp): Promise<number> {
  const headers = { authorization: `Bearer ${at.tokens.viewer}` }
  const page = await (await fetch(`${at.api.url}/metrics`, { headers })).text()
  return [...page.matchAll(line)].reduce((sum, [, count]) => sum + Number(count), 0)
}
const statements = () => figure(/^flightdeck_database_statements_total(?:\{.*\})? (\d+)$/gm)
const refused = (status: number) =>
  figure(new RegExp(`^flightdeck_http_request_seconds_count\\{route="heartbeat",status="${status}"\\} (\\d+)$`, 'gm'))

test('10,000 forged heartbeats are refused and counted, reach the database a few times only, and hold up no real node', async () => {
  const { nodeId, credential } = await at.node({ state: 'ready', launchState: 'live' })
  const other = await at.node({ state: 'ready', launchState: 'live' })
  for (const real of [credential, other.credential]) expect((await beat(real)).status).toBe(200)
  const before = await statements()

  const answers: { status: number; wait: string | undefined }[] = []
  const real: number[] = []
  for (let sent = 0; sent < forged; sent += atOnce) {
    const fakes = Array.from({ length: atOnce }, (_, i) => beat(`fd_node_${nodeId}.forged-${sent + i}`))
    if (sent % 1_000 === 0) real.push((await beat(credential)).status)
    answers.push(...(await Promise.all(fakes)))
  }
  expect(new Set(real)).toEqual(new Set([200]))
  expect(answers.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(30 + atOnce)
  expect(answers.every(({ status }) => status === 401 || status === 429)).toBe(true)
  expect(answers.filter(({ status, wait }) => status === 429 && !(Number(wait) > 0))).toEqual([])
  // Each that were let through would cost two at least.
  expect((await statements()) - before).toBeLessThan(forged / 10)
  expect((await refused(401)) + (await refused(429))).toBe(forged)

  // Also one that was silent meanwhile, and what the nodes are.
  expect((await beat(other.credential)).status).toBe(200)
  const node = await at.client.showNode({ params: { id: nodeId } })
  expect(node).toMatchObject({ state: 'ready', signals: { heartbeat: { value: 'good' } } })
  expect(node.timeline.filter(({ kind }) => kind.includes('second_holder'))).toEqual([])
}, 120_000)
