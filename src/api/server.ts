import type { AddressInfo } from 'node:net'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { CommandDeps } from '../commands/context.ts'
import { Failure } from '../core/failure.ts'
import { makeAgeCheck } from '../intake/agent-age.ts'
import { makeAlarm } from '../intake/alarm.ts'
import type { DirectWay } from '../intake/direct.ts'
import { makeRouteTables, type RouteTables } from '../intake/routes.ts'
import type { CertificateSource } from '../lib/certificate-source.ts'
import { randomName } from '../lib/chance.ts'
import { listenBacklog, loopbackUrl } from '../lib/host.ts'
import type { Log } from '../lib/log.ts'
import { serveTls, type TlsPort } from '../lib/tls-port.ts'
import { type Access, type Route, type RouteName, routeParams, routes } from '../wire/routes.ts'
import { type Caller, type Door, makeDoor } from './access.ts'
import { Answered, type Asked, type Browser, type Handlers, Streamed } from './asked.ts'
import { isEncrypted, isOwnPage, makeHostCheck, makeTlsCheck } from './browser.ts'
import { downloadRoutes, makeDownloads } from './downloads.ts'
import { type FailedLogins, makeFailedLogins } from './failed-logins.ts'
import { type ChatDeps, chatHandlers } from './handlers-chat.ts'
import { fleetHandlers } from './handlers-fleet.ts'
import { launchHandlers, nodeHandlers } from './handlers-launch.ts'
import { machineHandlers, selfHandlers } from './handlers-machine.ts'
import { offerHandlers } from './handlers-offers.ts'
import { peopleHandlers } from './handlers-people.ts'
import { samplesHandlers } from './handlers-samples.ts'
import { sessionHandlers } from './handlers-session.ts'
import { type Live, startLive } from './live.ts'
import type { LiveLimits } from './live-limits.ts'
import { type ApiMetrics, makeApiMetrics } from './metrics.ts'
import { makePages, pageRoute } from './pages.ts'
import { refusalOf } from './problem.ts'
import { makeSessionCookie } from './session-cookie.ts'
import { checked, checkReply } from './validate.ts'
import { makeViews, type Views } from './views.ts'

export interface ApiOptions extends CommandDeps, ChatDeps {
  readonly log: Log
  readonly listen: { readonly host: string; readonly port: number }
  /** Null: plain HTTP, which the caller has made sure is on loopback. */
  readonly certificate?: CertificateSource | null
  readonly install: string
  /** SHA-256 of the token that the gateways of this install share. */
  readonly gatewayTokenHash: string
  /** Where the built agent lies: `dist/agent`. */
  readonly agentDir: string
  /** Where the built dashboard lies: `dist/web`. Absent: there is none. */
  readonly webDir?: string
  /** How gateways call nodes whose address is known; absent or null: no node is called. */
  readonly direct?: DirectWay | null
  readonly databaseKind: 'embedded' | 'given'
  /** The address that people and agents use where a proxy stands in front. */
  readonly publicUrl?: string
  readonly liveLimits?: Partial<LiveLimits>
  /** Every reply is held against its schema. For tests: it costs half of the throughput. */
  readonly checkReplies?: boolean
}

export interface Api {
  /** For programs on this machine: plain HTTP on loopback, whoever else is served. */
  readonly url: string
  readonly port: number
  readonly observePass: ApiMetrics['observePass']
  close(): Promise<void>
}

const mib = 1_048_576
const bodyLimits: Partial<Record<RouteName, number>> = { progress: 4 * mib, gatewayReport: 8 * mib }
// Whoever has not said what it wants by then is not going to.
const requestTimeoutMs = 30_000
const closeWithinMs = 3_000

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Absent: nobody may. */
    access?: Access
    name?: string
  }
  interface FastifyRequest {
    caller: Caller
    browser: Browser
    beganAt: number
  }
}

/** Serves the control API until closed: every route of the contract, the agent's downloads, and live updates. */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { log, clock, settings, store } = options
  const failedLogins = makeFailedLogins(clock)
  const door = makeDoor({ ...options, failedLogins })
  const tables = makeRouteTables(options, (error) => log.warn({ err: error }, 'the routing table could not be read'))
  const tableVersion = async () => (await tables.current()).version
  const views = makeViews({ ...options, tableVersion })
  let live: Live | null = null
  const metrics = makeApiMetrics(store, clock, () => live?.readers() ?? 0)
  const handlers = allHandlers(options, { views, tables, door, metrics })
  const app = await makeApp(options, door, metrics)
  refuseOldAgents(app, options)
  for (const name of Object.keys(routes) as RouteName[]) {
    addRoute(app, name, handlers, failedLogins, options.checkReplies ?? false)
  }
  addDownloads(app, options.agentDir)
  addPages(app, options)
  live = startLive(
    {
      server: app.server,
      door,
      views,
      store,
      clock,
      log,
      settings,
      publicUrl: options.publicUrl,
      install: options.install,
      host: options.listen.host,
    },
    options.liveLimits,
  )
  const unlisten = await store.listen((topic) => {
    tables.hear(topic)
    live?.hear(topic)
  })
  const tls = secured(app, options.certificate)
  const stop = () => {
    tls?.close()
    return close(app, live, tables, metrics, unlisten)
  }
  const port = await listen(app, tls, options.listen).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return {
    url: loopbackUrl(options.listen.host, port),
    port,
    observePass: metrics.observePass,
    close: stop,
  }
}

interface Parts {
  readonly views: Views
  readonly tables: RouteTables
  readonly door: Door
  readonly metrics: ApiMetrics
}

function allHandlers(options: ApiOptions, { views, tables, door, metrics }: Parts): Handlers {
  return {
    ...launchHandlers(options, views),
    ...nodeHandlers(options, views),
    ...fleetHandlers(options, views),
    ...offerHandlers(options),
    ...chatHandlers(options),
    ...samplesHandlers(options, views),
    ...peopleHandlers(options, tables),
    ...sessionHandlers(options, door),
    ...machineHandlers(options, tables),
    ...selfHandlers(options, metrics),
  }
}

function secured(app: FastifyInstance, certificate: CertificateSource | null | undefined): TlsPort | null {
  if (!certificate) return null
  const tls = serveTls(app.server, certificate.current)
  certificate.onChange((fresh) => tls.renew(fresh))
  return tls
}

async function listen(app: FastifyInstance, tls: TlsPort | null, where: ApiOptions['listen']): Promise<number> {
  await app.listen({ ...where, backlog: listenBacklog })
  const { port } = app.server.address() as AddressInfo
  await tls?.listenHere(where.host, port)
  return port
}

async function close(
  app: FastifyInstance,
  live: Live | null,
  tables: RouteTables,
  metrics: ApiMetrics,
  unlisten: () => Promise<void>,
): Promise<void> {
  await unlisten()
  live?.close()
  tables.close()
  // Calls that run may end; connections that only idle, or end too slowly, are cut.
  const late = setTimeout(() => app.server.closeAllConnections(), closeWithinMs)
  await app.close()
  clearTimeout(late)
  metrics.close()
}

async function makeApp(options: ApiOptions, door: Door, metrics: ApiMetrics): Promise<FastifyInstance> {
  const { log, clock, settings } = options
  const app = fastify({
    logger: false,
    genReqId: () => `re-${randomName(12)}`,
    requestIdHeader: false,
    bodyLimit: mib,
    requestTimeout: requestTimeoutMs,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 500, ignoreTrailingSlash: false },
  })
  app.decorateRequest('caller')
  app.decorateRequest('browser')
  app.decorateRequest('beganAt', 0)
  takeJsonOnly(app)
  refuseInOneShape(app, log)
  const checkHost = makeHostCheck({ ...settings, host: options.listen.host, publicUrl: options.publicUrl })
  app.addHook('onRequest', async (request, reply) => {
    request.beganAt = clock.monotonicMs()
    reply.header('x-request-id', request.id).header('cache-control', 'no-store')
    checkHost(request.headers.host, isEncrypted(request.raw.socket))
  })
  app.addHook('onResponse', async (request, reply) => {
    const { name = 'none' } = request.routeOptions.config
    metrics.observeCall(name, reply.statusCode, clock.monotonicMs() - request.beganAt)
  })
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'self'"], frameAncestors: ["'none'"], baseUri: ["'none'"], formAction: ["'self'"] },
    },
    frameguard: { action: 'deny' },
  })
  if (settings.allowedOrigins.length > 0) {
    await app.register(cors, {
      origin: [...settings.allowedOrigins],
      methods: ['GET', 'POST', 'PUT', 'DELETE'],
      allowedHeaders: ['authorization', 'content-type', 'idempotency-key'],
      exposedHeaders: ['x-request-id', 'retry-after'],
    })
  }
  letIn(app, options, door)
  return app
}

const safeMethods = ['GET', 'HEAD']

/** The one place where a call is let in. It looks at the matched route, never at the text of the address. */
function letIn(app: FastifyInstance, { publicUrl, install }: ApiOptions, door: Door): void {
  const cookies = makeSessionCookie(install)
  const isOverTls = makeTlsCheck(publicUrl)
  app.addHook('onRequest', async (request) => {
    if (request.is404) return
    const { access } = request.routeOptions.config
    if (!access) throw new Failure('role_too_low', 'This route says nobody may call it.')
    const { headers, method, ip: address } = request
    const overTls = isOverTls(headers, request.raw.socket)
    const ownPage = isOwnPage(headers)
    request.browser = {
      isOwnPage: ownPage,
      keep: (value, maxAgeS) => ({ 'set-cookie': cookies.write(value, maxAgeS, overTls) }),
    }
    request.caller = await door.admit(access, {
      authorization: headers.authorization,
      cookie: cookies.read(headers, overTls),
      cookieCounts: ownPage || safeMethods.includes(method),
      address,
    })
  })
}

/** Before the schemas: an agent that is too old is told so, and not that its fields are wrong. */
function refuseOldAgents(app: FastifyInstance, options: ApiOptions): void {
  const age = makeAgeCheck(options, makeAlarm(options))
  app.addHook('preHandler', async ({ caller, body, ip }) => {
    if (caller?.kind === 'machine') await age.check(caller.token, body, ip)
  })
}

/** JSON or nothing. An empty body is no body: some clients name a type for it all the same. */
function takeJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined)
    else void parse(request, String(body), done)
  })
}

function refuseInOneShape(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((error, request, reply) => {
    const refusal = refusalOf(error, request.id)
    if (refusal.unforeseen)
      log.error({ err: error, requestId: request.id, route: request.routeOptions.config.name }, 'a call failed')
    return reply.code(refusal.status).headers(refusal.headers).send(refusal.body)
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]?.slice(0, 200)
    const { status, body } = refusalOf(new Failure('not_found', `There is no ${request.method} ${path}.`), request.id)
    return reply.code(status).send(body)
  })
}

function addRoute<N extends RouteName>(
  app: FastifyInstance,
  name: N,
  handlers: Handlers,
  failedLogins: FailedLogins,
  checkReplies: boolean,
): void {
  const route: Route = routes[name]
  app.route({
    method: route.method,
    url: route.path,
    config: { access: route.access, name },
    ...(bodyLimits[name] ? { bodyLimit: bodyLimits[name] } : {}),
    handler: async (request, reply) => {
      const asked = askedOf<N>(route, request, reply)
      const result = await handlers[name](asked).catch((error: unknown) => {
        if (asked.token !== null && error instanceof Failure && error.status === 401)
          failedLogins.failed(asked.token, asked.address)
        throw error
      })
      if (asked.token !== null) failedLogins.succeeded(asked.token)
      return answer(reply, name, route, result, checkReplies)
    },
  })
}

function askedOf<N extends RouteName>(route: Route, request: FastifyRequest, reply: FastifyReply): Asked<N> {
  const { caller } = request
  const params = route.path.includes(':id') ? checked(routeParams, request.params, 'path') : { id: '' }
  // The types follow from the contract by name, which the compiler cannot follow through a table.
  return {
    id: (params as { id: string }).id,
    query: route.query ? checked(route.query, request.query, 'query') : undefined,
    body: route.body ? checked(route.body, request.body, 'body') : undefined,
    actor: caller.kind === 'person' ? caller.actor : null,
    session: caller.kind === 'person' ? caller.session : null,
    browser: request.browser,
    token: caller.kind === 'machine' ? caller.token : null,
    address: request.ip,
    idempotencyKey: idempotencyKeyOf(request),
    gone: () => goneSignal(reply),
  } as Asked<N>
}

function idempotencyKeyOf(request: FastifyRequest): string | null {
  const key = request.headers['idempotency-key']
  if (key === undefined) return null
  if (typeof key === 'string' && /^[\x21-\x7e]{1,128}$/.test(key)) return key
  throw new Failure('bad_request', 'header.Idempotency-Key: 1 to 128 visible characters')
}

function goneSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => controller.abort())
  return controller.signal
}

function answer(reply: FastifyReply, name: string, route: Route, result: unknown, checkReplies: boolean): FastifyReply {
  if (result instanceof Streamed) return reply.headers(result.headers).send(result.body)
  const answered = result instanceof Answered ? result : new Answered(route.status ?? 200, result)
  reply.code(answered.status).headers(answered.headers)
  if (answered.status === 204) return reply.send()
  if (checkReplies) checkReply(route.reply, name, answered.value)
  return reply.send(answered.value)
}

function addDownloads(app: FastifyInstance, agentDir: string): void {
  const downloads = makeDownloads(agentDir)
  const { index, file } = downloadRoutes
  app.route({
    method: index.method,
    url: index.path,
    config: { access: index.access, name: 'downloadIndex' },
    handler: downloads.sendIndex,
  })
  app.route({
    method: file.method,
    url: file.path,
    config: { access: file.access, name: 'downloadFile' },
    handler: downloads.sendFile,
  })
}

/** Whatever no other route takes, and looks like no call of the API. */
function addPages(app: FastifyInstance, { webDir, publicUrl }: ApiOptions): void {
  const isOverTls = makeTlsCheck(publicUrl)
  const pages = makePages(webDir, ({ headers, raw }) => isOverTls(headers, raw.socket))
  const { method, path: url, access } = pageRoute
  app.route({ method, url, config: { access, name: 'page' }, handler: pages.send })
}
