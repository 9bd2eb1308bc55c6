import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Role, roles } from '../core/tokens.ts'
import { verifyAudit } from '../store/audit.ts'
import { type Route, type RouteName, routes } from '../wire/routes.ts'
import { settings, startTestApi, type TestApi } from './api-for-tests.ts'

let at: TestApi

beforeAll(async () => {
  at = await startTestApi()
})
afterAll(() => at?.end())

type PersonsRoute = { [N in RouteName]: (typeof routes)[N]['access'] extends Role ? N : never }[RouteName]
type ChangeRoute = { [N in PersonsRoute]: (typeof routes)[N]['method'] extends 'GET' ? never : N }[Exclude<
  PersonsRoute,
  AskingRoute
>]

/** Asks with a body, and changes nothing. */
type AskingRoute = 'plan' | 'chat'

const isChange = (name: RouteName): name is ChangeRoute =>
  name !== 'plan' &&
  name !== 'chat' &&
  (roles as readonly string[]).includes(routes[name].access) &&
  routes[name].method !== 'GET'
const changeRoutes = (Object.keys(routes) as RouteName[]).filter(isChange)

interface Call {
  readonly params?: { readonly id: string }
  readonly body?: unknown
  /** Of a page that is signed in; without it the call has the token of the admin. */
  readonly headers?: Record<string, string>
}

const deployment = (wanted: number) => ({ name: `d-${Math.random().toString(36).slice(2)}`, model: 'tiny', wanted })

/** For each route that changes something: a call that does, and what has to be there for it. One too few does not compile. */
const changes: Record<ChangeRoute, () => Promise<Call>> = {
  pause: async () => ({ body: { paused: true, reason: 'a test' } }),
  signOut: async () => ({ headers: { cookie: await at.signIn('admin'), 'sec-fetch-site': 'same-origin' } }),
  armSweep: async () => ({ body: { armed: true } }),
  createLaunch: async () => ({ body: { model: 'tiny' } }),
  cancelLaunch: async () => ({ params: { id: await at.launch() } }),
  drainNode: async () => ({
    params: { id: (await at.node({ state: 'ready', launchState: 'live' })).nodeId },
    body: {},
  }),
  releaseNode: async () => ({ params: { id: (await at.node({ state: 'ready', launchState: 'live' })).nodeId } }),
  holdNode: async () => ({
    params: { id: (await at.node({ state: 'ready', launchState: 'live' })).nodeId },
    body: { forS: 60 },
  }),
  createDeployment: async () => ({ body: deployment(1) }),
  scaleDeployment: async () => ({ ...(await anyDeployment()), body: { wanted: 2 } }),
  pauseDeployment: async () => ({ ...(await anyDeployment()), body: { paused: true } }),
  createKey: async () => ({ body: { name: 'walked' } }),
  revokeKey: async () => ({ params: { id: (await at.client.createKey({ body: { name: 'to-revoke' } })).id } }),
  createOperator: async () => ({ body: { name: 'walker', role: 'viewer' } }),
  changeRole: async () => {
    const { id } = await at.client.createOperator({ body: { name: 'to-rise', role: 'viewer' } })
    return { params: { id }, body: { role: 'operator' } }
  },
  disableOperator: async () => {
    const { id } = await at.client.createOperator({ body: { name: 'to-disable', role: 'viewer' } })
    return { params: { id } }
  },
  putSecret: async () => ({ params: { id: 'WALKED' }, body: { value: 'canary-of-the-walk' } }),
  deleteSecret: async () => {
    await at.client.putSecret({ params: { id: 'TO_DELETE' }, body: { value: 'canary-of-the-walk' } })
    return { params: { id: 'TO_DELETE' } }
  },
}

async function anyDeployment(): Promise<Call> {
  const { id } = await at.client.createDeployment({ body: deployment(0) })
  return { params: { id } }
}

async function call(name: RouteName, { params, body, headers }: Call, own = at): Promise<Response> {
  const route: Route = routes[name]
  return fetch(own.api.url + route.path.replace(':id', params?.id ?? ''), {
    method: route.method,
    headers: {
      ...(headers ?? { authorization: `Bearer ${own.tokens.admin}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

const audited = async () => (await at.client.audit({ query: { limit: 500 } })).items

test.each(changeRoutes)('%s leaves one audit row: who, from where, what, and to what', async (name) => {
  const asked = await changes[name]()
  const before = await audited()
  const reply = await call(name, asked)
  const text = await reply.text()
  expect([name, reply.status < 300, text]).toEqual([name, true, text])
  const after = await audited()
  expect(after.length - before.length).toBe(1)
  expect(after[0]).toMatchObject({ who: 'the-admin', address: '127.0.0.1' })
  expect(after[0]?.action).toMatch(/^[a-z]+\.[a-z_]+$/)
  expect(after[0]?.target).not.toBe('')
  expect(JSON.stringify(after[0])).not.toContain('canary')
})

test('reading and asking in vain leave no row, and the chain of all rows holds', async () => {
  const before = await audited()
  for (const name of changeRoutes) {
    const refused = await call(name, { params: { id: 'xx-0000000000' }, body: { no_such_field: 1 } })
    expect([name, refused.status >= 400 && refused.status < 500]).toEqual([name, true])
  }
  await Promise.all([at.client.status(), at.client.listNodes(), at.client.spend(), at.client.listSecrets()])
  expect(await audited()).toEqual(before)
  expect(await verifyAudit(at.deps.store.db)).toMatchObject({ brokenAt: null, rows: before.length })
})

test('whatever makes machines be rented shares one limit a minute, by how many, and says when it may be tried again', async () => {
  const own = await startTestApi({ settings: { ...settings, launchesPerMinute: 4 } })
  const made = await own.client.createDeployment({ body: deployment(0) })
  const scaledTo = (wanted: number) => ({ params: { id: made.id }, body: { wanted } })
  const limited = (Object.keys(routes) as RouteName[]).filter((name) => (routes[name] as Route).limited)
  const bodies: Partial<Record<RouteName, Call>> = {
    createLaunch: { body: { model: 'tiny' } },
    createDeployment: { body: deployment(1) },
    scaleDeployment: scaledTo(4),
  }
  expect(limited.sort()).toEqual(Object.keys(bodies).sort())
  const tooMany = await call('scaleDeployment', scaledTo(5), own)
  expect(tooMany.status).toBe(400)
  expect(await tooMany.json()).toMatchObject({
    error: { code: 'bad_request', remedy: expect.stringMatching(/^Ask for 4/) },
  })
  expect((await call('createLaunch', { body: { model: 'tiny' } }, own)).status).toBe(202)
  expect((await call('scaleDeployment', scaledTo(3), own)).status).toBe(200)
  for (const name of limited) {
    const reply = await call(name, bodies[name] ?? {}, own)
    expect([name, reply.status]).toEqual([name, 429])
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await reply.json()).toMatchObject({ error: { code: 'rate_limited', remedy: expect.any(String) } })
  }
  // Fewer is always allowed, and so is a plan.
  const fewer = { params: { id: made.id }, body: { wanted: 0 } }
  expect((await call('scaleDeployment', fewer, own)).status).toBe(200)
  expect((await call('createLaunch', { body: { model: 'tiny', dryRun: true } }, own)).status).toBe(200)
  await own.end()
})
