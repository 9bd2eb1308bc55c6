import { z } from 'zod'
import { type Role, roles } from '../core/tokens.ts'
import { agentReply, heartbeat, joinReply, joinRequest, noticeReport, progress } from './agent.ts'
import { catalogCard, modelView } from './catalog.ts'
import { gatewayPaths, gatewayReply, gatewayReport, routingTable } from './gateway.ts'
import { agentPaths } from './paths.ts'
import { planView } from './plan.ts'
import { deploymentSamplesView, nodeSamplesView, samplesQuery } from './samples.ts'
import { spendView } from './spend-view.ts'
import * as view from './views.ts'

/** Who may call a route. A person's role includes the roles below it; machines are their own kind. */
export type Access = Role | 'anyone' | 'joining' | 'node' | 'gateway'

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly access: Access
  readonly summary: string
  readonly status?: number
  readonly query?: z.ZodType
  readonly body?: z.ZodType
  readonly reply: z.ZodType
  /** True where a call can make machines be rented: for each person such routes share the launch limit. */
  readonly limited?: boolean
}

/** What stands for `:id` in a path: an id of ours, or the name of a secret. */
export const routeParams = z.strictObject({
  id: z.string().regex(/^\w[\w.-]{0,63}$/, 'letters, digits, dot, dash and underscore, 64 at most'),
})

const page = { limit: z.coerce.number().int().min(1).max(500).default(50), cursor: z.string().max(128).optional() }
const listOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), nextCursor: z.string().nullable() })
const allOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) })
const nothing = z.object({}).strict()
const since = z.iso.datetime().optional()

/** Where weights may lie that no configuration names. Never on the machine itself: a path would read what lies there. */
const modelSource = z
  .string()
  .max(512)
  .regex(
    /^(?:[\w][\w.-]{0,95}\/[\w][\w.-]{0,95}|(?:s3|gs|az):\/\/[a-z0-9][\w.-]{1,62}(?:\/[\w][\w.=-]*)*\/?)$/,
    'a hub path (owner/name), or a bucket: s3://, gs:// or az:// with a name and a path',
  )

/** What can load them from there. */
export const ownEngines = ['vllm', 'sglang'] as const

/** Of a model that the configuration does not name: `model` is then how clients call it. */
export const ownModel = z.object({ source: modelSource, engine: z.enum(ownEngines).default('vllm') }).strict()

export const mostReplicas = 1_000
export const mostConcurrency = 10_000
export const launchLimitS = { min: 5, max: 86_400 } as const

const timeLimitS = z.number().int().min(launchLimitS.min).max(launchLimitS.max).optional()
/** Requests of full length that should fit at the same time. Default: the model's, as configured. */
const concurrency = z.number().int().min(1).max(mostConcurrency).optional()

export const launchRequest = z
  .object({
    model: view.modelName,
    own: ownModel.optional(),
    /** Which deployment gets one more replica; made when absent. Default: named after the model. */
    deployment: view.givenName.optional(),
    engineArgs: view.engineArguments.default({}),
    wish: view.wishSchema.prefault({}),
    timeLimitS,
    concurrency,
    dryRun: z.boolean().default(false),
  })
  .strict()
export type LaunchRequest = z.infer<typeof launchRequest>

/** A launch, or several replicas of it. */
export const planRequest = launchRequest
  .omit({ dryRun: true })
  .extend({ replicas: z.number().int().min(1).max(mostReplicas).default(1) })
export type PlanRequest = z.infer<typeof planRequest>

export const deploymentRequest = z
  .object({
    name: view.givenName,
    model: view.modelName,
    own: ownModel.optional(),
    engineArgs: view.engineArguments.default({}),
    wish: view.wishSchema.prefault({}),
    /** Of each of its launches. */
    timeLimitS,
    concurrency,
    wanted: z.number().int().min(0).max(mostReplicas),
  })
  .strict()
export type DeploymentRequest = z.infer<typeof deploymentRequest>

export const scaleRequest = z
  .object({
    wanted: z.number().int().min(0).max(mostReplicas),
    /** What was wanted when that was decided: where it is another number by now, nothing is changed. */
    from: z.number().int().min(0).max(mostReplicas).optional(),
  })
  .strict()
export type ScaleRequest = z.infer<typeof scaleRequest>

const chatText = z.string().max(200_000)
/** As OpenAI's chat completions take it; it is always streamed, with the usage at its end. */
export const chatRequest = z
  .object({
    model: view.modelName,
    messages: z
      .array(z.object({ role: z.enum(['system', 'user', 'assistant']), content: chatText }).strict())
      .min(1)
      .max(500),
    max_tokens: z.number().int().min(1).max(1_000_000).optional(),
    temperature: z.number().min(0).max(2).optional(),
    top_p: z.number().min(0).max(1).optional(),
  })
  .strict()

/** Every call of the control plane: the server, the OpenAPI document, the client and the role test are made from it. */
export const routes = {
  health: route('GET', '/api/health', 'anyone', 'Is the process up, and does its database answer', {
    reply: z.object({
      ok: z.boolean(),
      version: z.string(),
      database: z.boolean(),
      /** Which install answers, so that a public address can be checked; null while the database is away. */
      install: z.string().nullable(),
    }),
  }),
  openapi: route('GET', '/api/openapi.json', 'anyone', 'This document', { reply: z.record(z.string(), z.unknown()) }),
  metrics: route('GET', '/metrics', 'viewer', 'Prometheus metrics of this process', { reply: z.string() }),
  me: route('GET', '/api/me', 'viewer', 'Who the token or the session belongs to, and when that session ends', {
    reply: view.meView,
  }),
  signIn: route('POST', '/api/session', 'anyone', 'Sign a browser in: a cookie for the token of a person', {
    status: 201,
    body: z.object({ token: z.string().min(1).max(512) }).strict(),
    reply: view.meView,
  }),
  signOut: route('DELETE', '/api/session', 'viewer', 'Sign this browser out, in all its tabs', {
    body: nothing.optional(),
    reply: nothing,
  }),
  status: route('GET', '/api/status', 'viewer', 'Loops, gateways, guard, pause, money per hour', {
    reply: view.statusView,
  }),
  pause: route('POST', '/api/pause', 'admin', 'Pause or resume all automation', {
    body: z.object({ paused: z.boolean(), reason: z.string().max(500).default('') }).strict(),
    reply: view.statusView,
  }),

  armSweep: route('POST', '/api/sweep', 'admin', 'Let the sweep release machines that no row knows', {
    body: z.object({ armed: z.literal(true) }).strict(),
    reply: view.statusView,
  }),

  plan: route('POST', '/api/plan', 'viewer', 'What a launch would do and cost; changes nothing', {
    body: planRequest,
    reply: planView,
  }),
  chat: route('POST', '/api/chat', 'operator', 'Chat with a model through the gateway; the answer is an event stream', {
    body: chatRequest,
    reply: z.string(),
  }),
  createLaunch: route(
    'POST',
    '/api/launches',
    'operator',
    'Launch one node; header Idempotency-Key makes it repeatable',
    {
      status: 202,
      limited: true,
      body: launchRequest,
      reply: z.union([view.launchDetail, z.object({ dryRun: z.literal(true), plan: planView })]),
    },
  ),
  listLaunches: route('GET', '/api/launches', 'viewer', 'Launches, newest first', {
    query: z.strictObject({
      ...page,
      state: z.string().max(200).optional(),
      model: z.string().max(256).optional(),
      deployment: z.string().max(64).optional(),
    }),
    reply: listOf(view.launchView),
  }),
  showLaunch: route('GET', '/api/launches/:id', 'viewer', 'One launch with attempts and phases', {
    reply: view.launchDetail,
  }),
  transcript: route('GET', '/api/launches/:id/transcript', 'viewer', 'Everything that was said during a launch', {
    reply: z.object({ events: z.array(view.eventView), lines: z.array(view.logLine) }),
  }),
  cancelLaunch: route('POST', '/api/launches/:id/cancel', 'operator', 'End a launch and everything it started', {
    status: 202,
    body: nothing.optional(),
    reply: view.launchDetail,
  }),

  listNodes: route('GET', '/api/nodes', 'viewer', 'Nodes, newest first', {
    query: z.strictObject({
      ...page,
      state: z.string().max(200).optional(),
      deployment: z.string().max(64).optional(),
      model: z.string().max(256).optional(),
      all: z.stringbool().default(false),
    }),
    reply: listOf(view.nodeView),
  }),
  showNode: route('GET', '/api/nodes/:id', 'viewer', 'One node with its ledger and timeline', {
    reply: view.nodeDetail,
  }),
  drainNode: route(
    'POST',
    '/api/nodes/:id/drain',
    'operator',
    'No new requests; finish those in flight; then release',
    {
      status: 202,
      body: z
        .object({ deadlineS: z.number().int().min(0).max(86_400).optional() })
        .strict()
        .optional(),
      reply: view.nodeDetail,
    },
  ),
  releaseNode: route(
    'POST',
    '/api/nodes/:id/release',
    'operator',
    'Give the machine back now, and want one replica less',
    {
      status: 202,
      body: nothing.optional(),
      reply: view.nodeDetail,
    },
  ),
  holdNode: route('POST', '/api/nodes/:id/hold', 'operator', 'Keep a node that fails, or let it go (`forS` null)', {
    body: z.object({ forS: z.number().int().min(1).nullable() }).strict(),
    reply: view.nodeDetail,
  }),
  nodeLogs: route('GET', '/api/nodes/:id/logs', 'viewer', 'The last lines of engine and agent', {
    query: z.strictObject({
      tail: z.coerce.number().int().min(1).max(5_000).default(200),
      after: z.coerce.number().int().min(-1).optional(),
    }),
    reply: allOf(view.logLine),
  }),

  nodeSamples: route('GET', '/api/nodes/:id/samples', 'viewer', 'What a node did in the last hour or day, for graphs', {
    query: samplesQuery,
    reply: nodeSamplesView,
  }),

  listDeployments: route('GET', '/api/deployments', 'viewer', 'Deployments', { reply: allOf(view.deploymentView) }),
  createDeployment: route(
    'POST',
    '/api/deployments',
    'operator',
    'Keep a number of replicas of a model; header Idempotency-Key makes it repeatable',
    { status: 201, limited: true, body: deploymentRequest, reply: view.deploymentView },
  ),
  showDeployment: route('GET', '/api/deployments/:id', 'viewer', 'One deployment', { reply: view.deploymentView }),
  deploymentSamples: route(
    'GET',
    '/api/deployments/:id/samples',
    'viewer',
    'Replicas and traffic of a deployment in the last hour or day, for graphs',
    { query: samplesQuery, reply: deploymentSamplesView },
  ),
  scaleDeployment: route('POST', '/api/deployments/:id/scale', 'operator', 'Change the wanted count', {
    limited: true,
    body: scaleRequest,
    reply: view.deploymentView,
  }),
  pauseDeployment: route(
    'POST',
    '/api/deployments/:id/pause',
    'operator',
    'Pause or resume one deployment; resuming forgets its failures',
    {
      body: z.object({ paused: z.boolean() }).strict(),
      reply: view.deploymentView,
    },
  ),

  listModels: route('GET', '/api/models', 'viewer', 'What can be launched by its name', {
    reply: allOf(modelView),
  }),
  listCatalog: route('GET', '/api/catalog', 'viewer', 'What is known about open-weight models', {
    reply: allOf(catalogCard),
  }),
  listOffers: route('GET', '/api/offers', 'viewer', 'What could be bought now', { reply: view.offersView }),

  unknownFailures: route('GET', '/api/unknown-failures', 'viewer', 'What clouds said that nobody has seen before', {
    reply: allOf(view.unknownFailureView),
  }),

  listKeys: route('GET', '/api/keys', 'viewer', 'API keys of the gateway', { reply: allOf(view.keyView) }),
  createKey: route('POST', '/api/keys', 'operator', 'Make an API key; it is shown once', {
    status: 201,
    body: z
      .object({ name: view.givenName, models: z.array(view.modelName).max(100).nullable().default(null) })
      .strict(),
    reply: view.keyView.extend({ key: z.string() }),
  }),
  revokeKey: route('DELETE', '/api/keys/:id', 'operator', 'Revoke an API key', { reply: view.keyView }),

  listOperators: route('GET', '/api/operators', 'admin', 'People and their roles', { reply: allOf(view.operatorView) }),
  createOperator: route('POST', '/api/operators', 'admin', 'Add a person; the token is shown once', {
    status: 201,
    body: z.object({ name: view.givenName, role: z.enum(roles) }).strict(),
    reply: view.operatorView.extend({ token: z.string() }),
  }),
  changeRole: route('POST', '/api/operators/:id/role', 'admin', 'Give a person another role; it counts at once', {
    body: z.object({ role: z.enum(roles) }).strict(),
    reply: view.operatorView,
  }),
  disableOperator: route('DELETE', '/api/operators/:id', 'admin', 'Disable a person', { reply: view.operatorView }),

  listSecrets: route('GET', '/api/secrets', 'admin', 'Names of the secrets that engines get; values never leave', {
    reply: allOf(z.object({ name: z.string(), createdAt: z.iso.datetime() })),
  }),
  putSecret: route('PUT', '/api/secrets/:id', 'admin', 'Set a secret; the id is the variable that the engine sees', {
    body: z.object({ value: z.string().min(1).max(8_192) }).strict(),
    reply: z.object({ name: z.string(), createdAt: z.iso.datetime() }),
  }),
  deleteSecret: route('DELETE', '/api/secrets/:id', 'admin', 'Forget a secret', {
    reply: z.object({ name: z.string() }),
  }),

  spend: route('GET', '/api/spend', 'viewer', 'Where the money went', {
    query: z.strictObject({ from: since, to: since }),
    reply: spendView,
  }),
  audit: route('GET', '/api/audit', 'admin', 'Who changed what', {
    query: z.strictObject({
      ...page,
      who: z.string().max(128).optional(),
      /** The whole of it, or what comes before its dot. */
      action: z.string().max(64).optional(),
      target: z.string().max(256).optional(),
    }),
    reply: listOf(view.auditView),
  }),

  join: route('POST', agentPaths.join, 'joining', 'An agent exchanges its join token for a credential', {
    body: joinRequest,
    reply: joinReply,
  }),
  heartbeat: route('POST', agentPaths.heartbeat, 'node', 'An agent speaks', { body: heartbeat, reply: agentReply }),
  notice: route('POST', agentPaths.notice, 'node', "An agent tells that its machine's end is announced", {
    body: noticeReport,
    reply: agentReply,
  }),
  progress: route('POST', agentPaths.progress, 'node', 'An agent tells what its engine does', {
    body: progress,
    reply: agentReply,
  }),

  gatewayTable: route('GET', gatewayPaths.table, 'gateway', 'The routing table, held until it changes', {
    query: z.strictObject({
      after: z.string().max(64).optional(),
      waitMs: z.coerce.number().int().min(0).max(55_000).default(0),
    }),
    reply: routingTable,
  }),
  gatewayReport: route('POST', gatewayPaths.report, 'gateway', 'Usage, probes and load of a gateway', {
    body: gatewayReport,
    reply: gatewayReply,
  }),
} as const satisfies Record<string, Route>

export type RouteName = keyof typeof routes

/** What a route's call and reply are once they passed its schemas. */
export interface RouteTypes<N extends RouteName> {
  readonly access: (typeof routes)[N]['access']
  readonly query: z.output<NonNullable<(typeof routes)[N]['query']>>
  readonly body: z.output<NonNullable<(typeof routes)[N]['body']>>
}
export type RouteReply<N extends RouteName> = z.output<(typeof routes)[N]['reply']>

type Rest<Q, B, R> = Pick<Route, 'status' | 'limited'> & { readonly query?: Q; readonly body?: B; readonly reply: R }

function route<
  const M extends Route['method'],
  const A extends Access,
  const P extends string,
  R extends z.ZodType,
  Q extends z.ZodType = z.ZodUndefined,
  B extends z.ZodType = z.ZodUndefined,
>(method: M, path: P, access: A, summary: string, rest: Rest<Q, B, R>) {
  return { method, path, access, summary, ...rest }
}
