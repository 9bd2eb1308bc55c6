import { request } from 'node:http'
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { sha256 } from '../lib/chance.ts'
import { makeLog } from '../lib/log.ts'
import { liveClose, livePath } from '../wire/live.ts'
import type { MeView, Problem } from '../wire/views.ts'
import { settings, startTestApi, type TestApi } from './api-for-tests.ts'

let at: TestApi
let now = Date.now()
/** Everything that the server said to its log. */
const said: string[] = []

beforeAll(async () => {
  const note = (...words: unknown[]) => void said.push(inspect(words, { depth: 20 }))
  const log = Object.assign(makeLog('api-test', 'silent'), { error: note, warn: note, info: note, debug: note })
  at = await startTestApi({
    log,
    clock: { now: () => now, monotonicMs: () => performance.now() },
    settings: { ...settings, sessions: { idleS: 600, lifetimeS: 3_600 } },
  })
})
beforeEach(() => {
  now = Date.now()
})
afterAll(() => at?.end())

type Headers = Record<string, string>
const ours = { 'sec-fetch-site': 'same-origin' }

interface Reply {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: unknown
}

/** Not by fetch, which keeps the host for itself. */
function call(method: string, path: string, headers: Headers, body?: unknown): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body)
    const asked = request(at.api.url + path, {
      method,
      headers: {
        ...headers,
        'content-length': Buffer.byteLength(text),
        ...(text && { 'content-type': 'application/json' }),
      },
    })
    asked.once('error', reject).once('response', (reply) => {
      let read = ''
      reply.on('data', (chunk) => {
        read += String(chunk)
      })
      reply.once('end', () =>
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: JSON.parse(read || 'null') }),
      )
    })
    asked.end(text)
  })
}

const codeOf = ({ status, body }: Reply) => [status, (body as Problem).error?.code]
const me = (cookie: string) => call('GET', '/api/me', { cookie })

test('a token signs a browser in: the cookie is for this host, for no script and for no page of another site', async () => {
  const reply = await call('POST', '/api/session', ours, { token: at.tokens.operator })
  expect(reply.status).toBe(201)
  const [cookie = ''] = reply.headers['set-cookie'] ?? []
  expect(cookie).toMatch(/^flightdeck-\w+=fd_session_[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/)
  expect(JSON.stringify(reply.body)).not.toContain('fd_')
  const mine = await me(cookie.split(';', 1)[0] ?? '')
  expect(mine.body).toEqual({
    id: expect.stringMatching(/^op-/),
    name: 'the-operator',
    role: 'operator',
    session: { id: (reply.body as MeView).session?.id, endsAt: expect.any(String), idleEndsAt: expect.any(String) },
  })
})

test('what the browser keeps is not in the database', async () => {
  const cookie = await at.signIn('viewer')
  const value = cookie.split('=')[1] ?? ''
  const rows = await at.deps.store.db.selectFrom('sessions').selectAll().execute()
  expect(JSON.stringify(rows)).not.toContain(value)
  expect(rows.map((row) => row.value_hash)).toContain(sha256(value))
})

test('a proxy that speaks TLS at the public address gets the cookie for TLS alone', async () => {
  const own = await startTestApi({ publicUrl: 'https://deck.example' })
  const reply = await new Promise<string[]>((resolve) => {
    const asked = request(`${own.api.url}/api/session`, {
      method: 'POST',
      headers: { ...ours, host: 'deck.example', 'content-type': 'application/json' },
    })
    asked.once('response', (got) => resolve(got.resume().headers['set-cookie'] ?? []))
    asked.end(JSON.stringify({ token: own.tokens.viewer }))
  })
  expect(reply[0]).toMatch(/^__Host-flightdeck-\w+=.*; Path=\/;.*; HttpOnly; SameSite=Strict; Secure$/)
  expect(reply[0]).not.toContain('Domain')
  await own.end()
})

test('whatever changes something is taken with a cookie only from a page of this very address', async () => {
  const cookie = await at.signIn('admin')
  const host = new URL(at.api.url).host
  const body = { paused: false }
  const forged: Headers[] = [
    {},
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'cross-site', origin: `http://${host}` },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://${host}.evil.example` },
    { origin: 'http://127.0.0.1:1' },
    { origin: '' },
  ]
  for (const headers of forged) {
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const path = { POST: '/api/pause', PUT: '/api/secrets/FORGED', DELETE: '/api/session' }[method] ?? ''
      const reply = await call(method, path, { cookie, ...headers }, method === 'DELETE' ? undefined : body)
      expect([headers, method, ...codeOf(reply)]).toEqual([headers, method, 403, 'origin_refused'])
    }
  }
  expect((await call('POST', '/api/pause', { cookie, ...ours }, body)).status).toBe(200)
  expect((await call('POST', '/api/pause', { cookie, origin: `http://${host}` }, body)).status).toBe(200)
})

test('a stranger’s page signs nobody in', async () => {
  const body = { token: at.tokens.viewer }
  for (const headers of [{}, { 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }] as Headers[]) {
    const reply = await call('POST', '/api/session', headers, body)
    expect([...codeOf(reply), reply.headers['set-cookie']]).toEqual([403, 'origin_refused', undefined])
  }
})

test('signing in takes the token of a person and nothing else', async () => {
  const cookie = await at.signIn('viewer')
  const refused: [string, number][] = [
    ['fd_op_wrong', 401],
    ['nonsense', 401],
    [cookie.split('=')[1] ?? '', 403],
    [at.tokens.gateway, 403],
  ]
  for (const [token, status] of refused) {
    const reply = await call('POST', '/api/session', ours, { token })
    expect([token, reply.status, reply.headers['set-cookie']]).toEqual([token, status, undefined])
  }
  const bearer = await call('GET', '/api/me', { authorization: `Bearer ${cookie.split('=')[1]}` })
  expect(codeOf(bearer)).toEqual([403, 'role_too_low'])
})

test('signing in with guesses has to wait like any call with a guess', async () => {
  const own = await startTestApi()
  const statuses = new Set<number>()
  for (let i = 0; i < 31; i++) {
    const reply = await fetch(`${own.api.url}/api/session`, {
      method: 'POST',
      headers: { ...ours, 'content-type': 'application/json' },
      body: JSON.stringify({ token: `fd_op_guess${i}` }),
    })
    statuses.add(reply.status)
  }
  expect([...statuses]).toEqual([401, 429])
  await own.end()
})

test('a session has the role of its operator, and no more', async () => {
  const cookie = await at.signIn('viewer')
  const reply = await call('POST', '/api/pause', { cookie, ...ours }, { paused: true })
  expect(codeOf(reply)).toEqual([403, 'role_too_low'])
  expect((await call('GET', '/api/operators', { cookie })).status).toBe(403)
  expect((await call('GET', '/api/status', { cookie })).status).toBe(200)
})

test('no cookie opens what machines and gateways have tokens for', async () => {
  const cookie = await at.signIn('admin')
  for (const path of ['/agent/heartbeat', '/agent/join', '/gateway/report'])
    expect([path, (await call('POST', path, { cookie, ...ours }, {})).status]).toEqual([path, 401])
})

test('a silent session is over after the idle time, a used one after its lifetime', async () => {
  const [silent, used] = [await at.signIn('viewer'), await at.signIn('viewer')]
  const begun = now
  for (let minutes = 5; minutes < 60; minutes += 5) {
    now = begun + minutes * 60_000
    const reply = await me(used)
    expect([minutes, reply.status]).toEqual([minutes, 200])
    const { session } = reply.body as MeView
    const endsAt = Date.parse(session?.endsAt ?? '')
    expect(endsAt - begun).toBeLessThan(3_600_000 + 60_000)
    expect(Date.parse(session?.idleEndsAt ?? '')).toBe(Math.min(endsAt, now + 600_000))
  }
  expect(codeOf(await me(silent))).toEqual([401, 'unauthenticated'])
  now = begun + 3_700_000
  expect(codeOf(await me(used))).toEqual([401, 'unauthenticated'])
})

test('sessions that are over are taken away, and one person has no more than a few', async () => {
  const { token } = await at.client.createOperator({ body: { name: 'busy', role: 'viewer' } })
  const rows = () => at.deps.store.db.selectFrom('sessions').select('id').execute()
  for (let i = 0; i < 25; i++) expect((await call('POST', '/api/session', ours, { token })).status).toBe(201)
  const before = (await rows()).length
  expect(before).toBeLessThanOrEqual(20 + 25)
  now += 3_700_000
  expect((await call('POST', '/api/session', ours, { token })).status).toBe(201)
  expect(await rows()).toHaveLength(1)
})

test('whoever is disabled is out at once, in every tab', async () => {
  const { id, token } = await at.client.createOperator({ body: { name: 'leaving', role: 'viewer' } })
  const reply = await call('POST', '/api/session', ours, { token })
  const cookie = reply.headers['set-cookie']?.[0]?.split(';', 1)[0] ?? ''
  const tab = await openTab(cookie)
  await at.client.disableOperator({ params: { id } })
  expect(await tab.closed).toBe(liveClose.unauthenticated)
  expect((await me(cookie)).status).toBe(401)
})

test('signing out in one tab signs the other one out, and forgets the cookie', async () => {
  const cookie = await at.signIn('operator')
  const [here, there] = [await openTab(cookie), await openTab(cookie)]
  const elsewhere = await at.signIn('operator')
  const reply = await call('DELETE', '/api/session', { cookie, ...ours })
  expect([reply.status, reply.headers['set-cookie']?.[0]]).toEqual([
    200,
    expect.stringMatching(/^flightdeck-\w+=; Path=\/; Max-Age=0;/),
  ])
  expect([await here.closed, await there.closed]).toEqual([liveClose.unauthenticated, liveClose.unauthenticated])
  expect((await me(cookie)).status).toBe(401)
  expect((await me(elsewhere)).status).toBe(200)
})

test('a token has no session to end', async () => {
  const reply = await call('DELETE', '/api/session', { authorization: `Bearer ${at.tokens.viewer}` })
  expect(codeOf(reply)).toEqual([409, 'wrong_state'])
})

test('a socket is closed when its session has run out', async () => {
  const own = await startTestApi({ settings: { ...settings, sessions: { idleS: 600, lifetimeS: 1 } } })
  const tab = await openTab(await own.signIn('viewer'), own)
  expect(await tab.closed).toBe(liveClose.unauthenticated)
  await own.end()
})

test('a cookie opens a socket for a page of this address only, and not for a program that says no origin', async () => {
  const cookie = await at.signIn('viewer')
  for (const headers of [{ cookie }, { cookie, origin: 'http://127.0.0.1:1' }] as Headers[]) {
    const socket = new WebSocket(at.api.url.replace('http', 'ws') + livePath, { headers })
    socket.once('open', () => socket.send(JSON.stringify({ do: 'hello' })))
    const outcome = new Promise((resolve) => {
      socket.once('error', (error) => resolve(error.message)).once('close', resolve)
    })
    expect(await outcome).toEqual('origin' in headers ? expect.stringContaining('403') : liveClose.unauthenticated)
  }
})

test('a cookie that is there twice, or is not one of ours, says nothing', async () => {
  const cookie = await at.signIn('viewer')
  for (const text of [`${cookie}; ${cookie}`, `${cookie}x`, `__Host-${cookie}`, `${cookie.split('=')[0]}=`, '=;=']) {
    expect([text, (await me(text)).status]).toEqual([text, 401])
  }
  expect((await me(`other=1; ${cookie}`)).status).toBe(200)
})

test('signing in and out are in the audit, and no cookie is in it or in a log', async () => {
  const cookie = await at.signIn('operator')
  const value = cookie.split('=')[1] ?? ''
  const { session } = (await me(cookie)).body as MeView
  await call('DELETE', '/api/session', { cookie, ...ours })
  await call('POST', '/api/pause', { cookie, ...ours }, { no: 'such' })
  const rows = (await at.client.audit({ query: { target: session?.id } })).items
  expect(rows.map(({ who, action, address }) => [who, action, address])).toEqual([
    ['the-operator', 'session.end', '127.0.0.1'],
    ['the-operator', 'session.begin', '127.0.0.1'],
  ])
  // A call that fails for a reason that nobody foresaw is the one whose error is logged.
  await at.deps.store.db.schema.alterTable('sessions').renameTo('sessions_away').execute()
  expect((await me(cookie)).status).toBe(500)
  await at.deps.store.db.schema.alterTable('sessions_away').renameTo('sessions').execute()
  expect(said.join('')).toContain('a call failed')
  expect(said.join('') + JSON.stringify(await at.client.audit({ query: { limit: 500 } }))).not.toContain(value)
})

async function openTab(cookie: string, own = at): Promise<{ closed: Promise<number> }> {
  const socket = new WebSocket(own.api.url.replace('http', 'ws') + livePath, {
    headers: { cookie, origin: own.api.url },
  })
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  const greeted = new Promise((resolve, reject) => socket.once('message', resolve).once('error', reject))
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  socket.send(JSON.stringify({ do: 'hello' }))
  await greeted
  return { closed }
}
