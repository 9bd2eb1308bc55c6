import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { follow } from './follow.ts'
import { commandOf, type Plane, startPlane, until } from './plane.ts'

let plane: Plane
let key: string

const canaries = { HF_TOKEN: 'canary-one-5f2b8c1d9e', AWS_SECRET_ACCESS_KEY: 'canary-two-77ab\ncanary-three-90cd' }
const canaryTexts = Object.values(canaries).flatMap((value) => value.split('\n'))
const leaks = 'echo "error: the token $HF_TOKEN is not valid" >&2; echo "key: $AWS_SECRET_ACCESS_KEY" >&2; exit 3'

beforeAll(async () => {
  plane = await startPlane({
    scripts: {
      pair: { tokensPerS: 10 },
      slow: { tokensPerS: 2 },
      embed: { task: 'embed' },
      leaky: { engine: 'llama-server' },
    },
    config: { launch: { rounds: 1, triesPerOffer: 1 } },
    local: {
      engines: { 'llama-server': { command: ['/bin/sh', '-c', leaks] } },
    },
  })
  key = await plane.key()
}, 60_000)
afterAll(() => plane?.end())

/** Pid and address of the engine of a launch, found from outside. */
async function engineOf(launch: LaunchDetail): Promise<{ pid: number; url: string }> {
  const { name } = await plane.node(launch)
  const pids = (await plane.machines()).get(name) ?? []
  for (const pid of pids) {
    const port = commandOf(pid).includes('scripted-engine') && /--port\0(\d+)/.exec(commandOf(pid))?.[1]
    if (port) return { pid, url: `http://127.0.0.1:${port}` }
  }
  throw new Error(`no engine runs on ${name}`)
}

/** A figure of the engine itself. */
async function figure(url: string, pattern: RegExp): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return [...text.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0)
}

const running = /^vllm:num_requests_running\{[^}]*\} (\S+)/gm
const aborted = /^vllm:request_success_total\{[^}]*finished_reason="abort"[^}]*\} (\S+)/gm

test('an engine that embeds is launched and asked for embeddings, and says in the one shape of errors what it does not do', async () => {
  await plane.reaches((await plane.launched('embed')).id, ['live'])
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ model: 'embed', input: 'hello' })
  const reply = await fetch(`${plane.gatewayUrl}/v1/embeddings`, { method: 'POST', headers, body })
  expect(reply.status).toBe(200)
  expect(await reply.json()).toMatchObject({ data: [{ embedding: expect.any(Array) }] })
  const refused = await plane.chat('embed', key)
  expect(refused.status).toBeGreaterThanOrEqual(400)
  expect(await refused.json()).toMatchObject({ error: { message: expect.any(String), type: expect.any(String) } })
})

test('drained by hand under a stream: the stream ends whole, the launch without a fault, and another takes its place', async () => {
  const launch = await plane.reaches((await plane.launched('pair')).id, ['live'])
  const stream = await plane.chat('pair', key, { stream: true, max_tokens: 20 })
  const { id } = await plane.node(launch)
  await plane.client.drainNode({ params: { id } })
  expect([stream.status, await stream.text()]).toEqual([200, expect.stringMatching(/data: \[DONE\]\s*$/)])
  expect(await plane.reaches(launch.id, ['ended'])).toMatchObject({ failure: null })
  const refill = async () =>
    (await plane.client.listLaunches({})).items.find(
      ({ deploymentId, origin }) => deploymentId === launch.deploymentId && origin === 'deployment',
    )
  await until(
    async () => (await refill()) !== undefined,
    20_000,
    () => 'nothing takes its place',
  )
  const next = (await refill())?.id ?? ''
  await plane.client.cancelLaunch({ params: { id: next } })
  await plane.reaches(next, ['ended', 'cancelled'])
})

test('a client that hangs up in the middle of a stream ends its request in the engine', async () => {
  const { url } = await engineOf(await plane.reaches((await plane.launched('slow')).id, ['live']))
  const hangUp = new AbortController()
  const reply = await fetch(`${plane.gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'slow',
      messages: [{ role: 'user', content: 'hi' }],
      max_tokens: 2_000,
      stream: true,
    }),
    signal: hangUp.signal,
  })
  await reply.body?.getReader().read()
  expect(await figure(url, running)).toBe(1)
  const before = await figure(url, aborted)
  hangUp.abort()
  const over = async () => (await figure(url, running)) === 0 && (await figure(url, aborted)) === before + 1
  await until(over, 10_000, () => 'the engine goes on for nobody')
}, 60_000)

test('an engine that dies before the first byte of its answers costs no client anything: another node answers', async () => {
  const launches = await Promise.all([plane.launched('pair'), plane.launched('pair')])
  const live = await Promise.all(launches.map(({ id }) => plane.reaches(id, ['live'])))
  const engines = await Promise.all(live.map(engineOf))
  const body = { max_tokens: 20 }
  const asked = Array.from({ length: 12 }, () => plane.chat('pair', key, body))
  const busy = async () => (await Promise.all(engines.map(({ url }) => figure(url, running)))).every((n) => n >= 3)
  await until(busy, 10_000, () => 'the requests do not reach both nodes')
  process.kill(engines[0]?.pid ?? 0, 'SIGKILL')
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  expect(statuses).toEqual(asked.map(() => 200))
  const page = await (await fetch(`${plane.gatewayUrl}/metrics`)).text()
  expect(Number(/^flightdeck_gateway_retries_total (\d+)/m.exec(page)?.[1])).toBeGreaterThan(0)
}, 60_000)

test('a secret that a failing engine prints is in no answer, event, transcript, live message, log, argument or other file', async () => {
  for (const [id, value] of Object.entries(canaries)) await plane.client.putSecret({ params: { id }, body: { value } })
  const launch = await plane.launched('leaky')
  const { heard, close } = follow(plane, { topic: 'launch', id: launch.id }, { topic: 'fleet' })
  const failed = await plane.reaches(launch.id, ['failed'])
  const node = await plane.node(failed)
  const id = { params: { id: launch.id } }
  const nodeId = { params: { id: node.id } }
  const answers = JSON.stringify([
    await plane.client.transcript(id),
    await plane.client.nodeLogs(nodeId),
    failed,
    node,
    await plane.client.listLaunches({}),
    await plane.client.listNodes({ query: { all: true } }),
    await plane.client.audit({}),
    await plane.client.status(),
    heard,
    plane.said,
    readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map((pid) => commandOf(Number(pid))),
  ])
  close()
  expect(answers).toContain('error: the token [secret] is not valid')
  for (const canary of canaryTexts) expect(answers).not.toContain(canary)
  for (const entry of readdirSync(plane.dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    const text = readFileSync(file, 'latin1')
    for (const canary of canaryTexts) expect(text.includes(canary), file).toBe(false)
  }
}, 60_000)
