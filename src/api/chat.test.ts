import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json as readJson } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { playgroundKeyOf } from '../intake/playground.ts'
import { startTestApi, type TestApi } from './api-for-tests.ts'

let at: TestApi
let gateway: Server
let answer: (request: IncomingMessage, response: ServerResponse) => void

beforeAll(async () => {
  gateway = createServer((request, response) => answer(request, response))
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve))
  at = await startTestApi({ gatewayUrl: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}` })
})
afterAll(async () => {
  await at?.end()
  gateway?.closeAllConnections()
  gateway?.close()
})

const hello = { model: 'tiny', messages: [{ role: 'user', content: 'hello' }] }
const chat = (body: unknown, to = at, signal?: AbortSignal) =>
  fetch(`${to.api.url}/api/chat`, {
    method: 'POST',
    headers: { authorization: `Bearer ${to.tokens.operator}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  })

test('each piece of an answer is passed on as it comes, with the node that served', async () => {
  const next = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<[string | undefined, unknown]>()
  answer = async (request, response) => {
    asked.resolve([request.headers.authorization, await readJson(request)])
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'x-flightdeck-node': 'fd-abcde-1',
      'set-cookie': 'a=b',
    })
    response.write('data: one\n\n')
    await next.promise
    response.end('data: [DONE]\n\n')
  }
  const reply = await chat(hello)
  const reader = reply.body?.pipeThrough(new TextDecoderStream()).getReader()
  expect((await reader?.read())?.value).toBe('data: one\n\n')
  next.resolve()
  expect((await reader?.read())?.value).toBe('data: [DONE]\n\n')
  expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
  expect([reply.headers.get('x-flightdeck-node'), reply.headers.get('set-cookie')]).toEqual(['fd-abcde-1', null])
  expect(await asked.promise).toEqual([
    `Bearer ${playgroundKeyOf(at.deps.vault)}`,
    { ...hello, stream: true, stream_options: { include_usage: true } },
  ])
})

test('who goes away ends the request at the gateway', async () => {
  const gone = Promise.withResolvers<void>()
  answer = (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: one\n\n')
    response.once('close', () => gone.resolve())
  }
  const leave = new AbortController()
  const reply = await chat(hello, at, leave.signal)
  expect(reply.status).toBe(200)
  leave.abort()
  await gone.promise
})

test('what the gateway refuses is refused in its words, and without a gateway it says so', async () => {
  answer = (_, response) => {
    const error = { message: 'No node serves "tiny" now.', type: 'server_error' }
    response.writeHead(503, { 'content-type': 'application/json' }).end(JSON.stringify({ error }))
  }
  const refused = await chat(hello)
  expect([refused.status, await refused.json()]).toMatchObject([
    502,
    { error: { code: 'chat_refused', cause: 'No node serves "tiny" now.', details: { status: 503 } } },
  ])
  answer = (_, response) => response.destroy()
  expect((await chat(hello)).status).toBe(503)
  const own = await startTestApi()
  expect(await (await chat(hello, own)).json()).toMatchObject({ error: { code: 'gateway_away' } })
  await own.end()
})

test('the key of people who try a model out is in the table of gateways and in no list', async () => {
  const table = await fetch(`${at.api.url}/gateway/table`, {
    headers: { authorization: `Bearer ${at.tokens.gateway}` },
  })
  expect((await table.json()) as unknown).toMatchObject({ keys: [{ id: 'ke-playground', models: null }] })
  expect(await at.client.listKeys()).toEqual({ items: [] })
})
