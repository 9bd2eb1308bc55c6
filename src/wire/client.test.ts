import { expect, expectTypeOf, test } from 'vitest'
import { CallFailure, makeClient } from './client.ts'
import type { LaunchDetail } from './views.ts'

interface Asked {
  url: string
  method: string
  headers: Record<string, string>
  body: string | undefined
}

function clientThatHears(status: number, answer: string, type = 'application/json') {
  const asked: Asked[] = []
  const fake: typeof fetch = async (url, request) => {
    const { method = '', headers, body } = request ?? {}
    asked.push({
      url: String(url),
      method,
      headers: headers as Record<string, string>,
      body: body as string | undefined,
    })
    return new Response(answer, { status, headers: { 'content-type': type, 'x-request-id': 'r-1' } })
  }
  return { asked, client: makeClient({ url: 'http://h:1/', token: 't', fetch: fake }) }
}

test('a call carries method, path, query, body, token and key as its route says', async () => {
  const { asked, client } = clientThatHears(200, '{}')
  await client.listNodes({ query: { limit: 5, all: true, state: undefined } })
  await client.createLaunch({ body: { model: 'm' }, idempotencyKey: 'k' })
  await client.cancelLaunch({ params: { id: 'a/b' } })
  expect(asked).toEqual([
    {
      url: 'http://h:1/api/nodes?limit=5&all=true',
      method: 'GET',
      headers: { authorization: 'Bearer t' },
      body: undefined,
    },
    {
      url: 'http://h:1/api/launches',
      method: 'POST',
      headers: { authorization: 'Bearer t', 'content-type': 'application/json', 'idempotency-key': 'k' },
      body: '{"model":"m"}',
    },
    {
      url: 'http://h:1/api/launches/a%2Fb/cancel',
      method: 'POST',
      headers: { authorization: 'Bearer t' },
      body: undefined,
    },
  ])
})

test('what a call takes and gives is typed by the schemas of its route', () => {
  const { client } = clientThatHears(200, '{}')
  expectTypeOf(client.showLaunch).parameter(0).toExtend<{ params: { id: string } }>()
  expectTypeOf(client.showLaunch).returns.resolves.toEqualTypeOf<LaunchDetail>()
  expectTypeOf(client.status).toBeCallableWith()
  // @ts-expect-error an id is needed
  void (() => client.showLaunch())
  // @ts-expect-error no such field
  void (() => client.createLaunch({ body: { model: 'm', modle: 'n' } }))
})

test('a refusal is told with its status, its request id and its remedy', async () => {
  const error = {
    code: 'not_found',
    fault: 'caller',
    retry: 'never',
    cause: 'There is no launch.',
    remedy: 'List them.',
    requestId: 'r-9',
    details: {},
  }
  const { client } = clientThatHears(404, JSON.stringify({ error }))
  const failure = await client.showLaunch({ params: { id: 'x' } }).catch((caught: unknown) => caught)
  expect(failure).toBeInstanceOf(CallFailure)
  expect(failure).toMatchObject({ status: 404, requestId: 'r-9', message: error.cause, error })
})

test('an answer of something else than Flightdeck is a failure that shows it', async () => {
  const { client } = clientThatHears(502, '<h1>Bad gateway</h1>', 'text/html')
  const failure = await client.status().catch((caught: unknown) => caught)
  expect(failure).toMatchObject({ status: 502, requestId: 'r-1', error: { evidence: '<h1>Bad gateway</h1>' } })
})

test('no answer at all is status 0 with the reason', async () => {
  const refused: typeof fetch = () =>
    Promise.reject(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') }))
  const client = makeClient({ url: 'http://h:1', token: 't', fetch: refused })
  const failure = await client.status().catch((caught: unknown) => caught)
  expect(failure).toMatchObject({
    status: 0,
    error: { code: 'unreachable', cause: expect.stringContaining('ECONNREFUSED') },
  })
})
