import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { expectGolden } from '../../test/golden-file.ts'
import { tokenPrefixes } from '../core/tokens.ts'
import { joinTokenFor } from '../store/join-token.ts'
import { livePath } from '../wire/live.ts'
import { type Route, routes } from '../wire/routes.ts'
import { startTestApi, type TestApi } from './api-for-tests.ts'
import { downloadRoutes } from './downloads.ts'
import { pageRoute } from './pages.ts'

let at: TestApi
let callers: Record<string, string | null>

beforeAll(async () => {
  at = await startTestApi()
  const { nodeId, credential } = await at.node({ state: 'ready' })
  const joining = joinTokenFor(at.deps.vault, nodeId)
  callers = {
    nobody: null,
    ...at.tokens,
    node: credential,
    joining,
    'api key': `${tokenPrefixes.key}${'k'.repeat(43)}`,
  }
})
afterAll(() => at?.end())

type Called = Pick<Route, 'path'> & { readonly method: string }

/** A call that nothing comes of: its id is nobody's, and its body breaks every schema. */
async function statusOf({ method, path }: Called, token: string | null): Promise<number> {
  const address = path.replace(':id', 'xx-0000000000').replace(':version', '0').replace(':file', 'x')
  const reply = await fetch(at.api.url + address, {
    method,
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    ...(['GET', 'HEAD'].includes(method) ? {} : { body: '{"no_such_field":1}' }),
  })
  await reply.text()
  return reply.status
}

const isAllowed = (status: number): boolean => status !== 401 && status !== 403

function liveIsAllowed(token: string | null): Promise<boolean> {
  const socket = new WebSocket(at.api.url.replace('http', 'ws') + livePath)
  socket.on('open', () => socket.send(JSON.stringify({ do: 'hello', token: token ?? '' })))
  return new Promise((resolve) => {
    socket.once('message', () => {
      resolve(true)
      socket.close()
    })
    socket.once('close', () => resolve(false))
  })
}

async function row(title: string, allowed: (token: string | null) => Promise<boolean>): Promise<string> {
  const who: string[] = []
  for (const [name, token] of Object.entries(callers)) if (await allowed(token)) who.push(name)
  return `${title.padEnd(42)} ${who.join(', ')}`
}

test('each route is open to exactly those whom the reviewed list names', async () => {
  const called: Called[] = [...Object.values(routes), ...Object.values(downloadRoutes), pageRoute]
  const rows: string[] = []
  for (const one of called) {
    rows.push(await row(`${one.method.padEnd(6)} ${one.path}`, async (token) => isAllowed(await statusOf(one, token))))
  }
  rows.push(await row(`${'WS'.padEnd(6)} ${livePath}`, liveIsAllowed))
  expectGolden('access.txt', `${rows.join('\n')}\n`)
})

test('methods that are not in the contract are refused on every path', async () => {
  const paths = [...new Set(Object.values(routes).map(({ path }) => path))]
  for (const path of paths) {
    for (const method of ['PATCH', 'DELETE', 'PUT', 'POST', 'HEAD']) {
      if (Object.values(routes).some((route) => route.path === path && route.method === method)) continue
      expect([method, path, await statusOf({ method, path }, at.tokens.admin)]).toEqual([method, path, 404])
    }
  }
})

test('a refusal says whether the token is missing, unknown, of the wrong kind or too low', async () => {
  const codeFor = async (authorization: string | undefined) => {
    const reply = await fetch(`${at.api.url}/api/operators`, { headers: authorization ? { authorization } : {} })
    return [reply.status, ((await reply.json()) as { error: { code: string } }).error.code]
  }
  expect(await codeFor(undefined)).toEqual([401, 'unauthenticated'])
  expect(await codeFor('Basic YWRtaW46YWRtaW4=')).toEqual([401, 'unauthenticated'])
  expect(await codeFor(`Bearer fd_op_${'x'.repeat(43)}`)).toEqual([401, 'unauthenticated'])
  expect(await codeFor(`Bearer fd_op_' or 1=1 --`)).toEqual([401, 'unauthenticated'])
  expect(await codeFor(`Bearer ${at.tokens.gateway}`)).toEqual([403, 'role_too_low'])
  expect(await codeFor(`Bearer ${at.tokens.viewer}`)).toEqual([403, 'role_too_low'])
})

test('a person who was given another role may do what it allows, and no more, from the next call on', async () => {
  const { id, token } = await at.client.createOperator({ body: { name: 'riser', role: 'viewer' } })
  const makesKey = async (name: string) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    return (await fetch(`${at.api.url}/api/keys`, { method: 'POST', headers, body: JSON.stringify({ name }) })).status
  }
  expect(await makesKey('too-early')).toBe(403)
  await at.client.changeRole({ params: { id }, body: { role: 'operator' } })
  expect(await makesKey('now')).toBe(201)
  await at.client.changeRole({ params: { id }, body: { role: 'viewer' } })
  expect(await makesKey('too-late')).toBe(403)
})

test('a person who was disabled is out at once', async () => {
  const { id, token } = await at.client.createOperator({ body: { name: 'leaver', role: 'viewer' } })
  const ask = () => fetch(`${at.api.url}/api/me`, { headers: { authorization: `Bearer ${token}` } })
  expect((await ask()).status).toBe(200)
  await at.client.disableOperator({ params: { id } })
  expect((await ask()).status).toBe(401)
})

test('an address that fails too often has to wait; tokens that were good before pass on', async () => {
  const own = await startTestApi()
  const ask = async (token: string) => {
    const reply = await fetch(`${own.api.url}/api/me`, { headers: { authorization: `Bearer ${token}` } })
    return { status: reply.status, wait: reply.headers.get('retry-after') }
  }
  await ask(own.tokens.viewer)
  const statuses = new Set<number>()
  for (let i = 0; i < 31; i++) statuses.add((await ask(`fd_op_guess${i}`)).status)
  expect([...statuses]).toEqual([401, 429])
  expect(Number((await ask('fd_op_guess')).wait)).toBeGreaterThan(0)
  expect((await ask(own.tokens.viewer)).status).toBe(200)
  expect((await ask(own.tokens.admin)).status).toBe(429)
  await own.end()
})

test('a page of a stranger that gave its own name our address is refused', async () => {
  const { request } = await import('node:http')
  const statusFor = (host: string) =>
    new Promise<number>((resolve, reject) => {
      const call = request(`${at.api.url}/api/health`, { headers: { host } }, (reply) => {
        reply.resume()
        resolve(reply.statusCode ?? 0)
      })
      call.on('error', reject)
      call.end()
    })
  const { port } = at.api
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`])
    expect(await statusFor(host)).toBe(200)
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1.evil.example',
    'localhost@evil.example',
    '10.0.0.1',
  ])
    expect([host, await statusFor(host)]).toEqual([host, 403])
})

test('a page of another origin may call only when its origin is listed', async () => {
  const settings = { ...at.deps.settings, allowedOrigins: ['https://deck.example'] }
  const own = await startTestApi({ settings })
  const preflight = (origin: string) =>
    fetch(`${own.api.url}/api/launches`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    })
  const listed = await preflight('https://deck.example')
  expect([listed.status, listed.headers.get('access-control-allow-origin')]).toEqual([204, 'https://deck.example'])
  const other = await preflight('https://evil.example')
  expect(other.headers.get('access-control-allow-origin')).not.toBe('https://evil.example')
  expect(other.headers.get('access-control-allow-origin')).not.toBe('*')
  await own.end()
})
