import { z } from 'zod'
import { type Role, roles } from '../core/tokens.ts'
import * as agent from './agent.ts'
import { downloadIndex } from './artefacts.ts'
import { catalogCard, fitView, modelView } from './catalog.ts'
import * as gateway from './gateway.ts'
import { liveMessage, liveRequest } from './live.ts'
import { loopView } from './loop-view.ts'
import { morePaths } from './openapi-more.ts'
import { planView } from './plan.ts'
import {
  type Access,
  chatRequest,
  deploymentRequest,
  launchRequest,
  planRequest,
  type Route,
  routeParams,
  routes,
} from './routes.ts'
import { deploymentSamplesView, nodeSamplesView } from './samples.ts'
import { spendView } from './spend-view.ts'
import * as view from './views.ts'

type Json = Record<string, unknown>
type Direction = 'input' | 'output'

/** Schemas that get a name of their own in the document: what is sent, and what comes back. */
const names: Record<Direction, Record<string, z.ZodType>> = {
  input: {
    ChatRequest: chatRequest,
    LaunchRequest: launchRequest,
    PlanRequest: planRequest,
    DeploymentRequest: deploymentRequest,
    JoinRequest: agent.joinRequest,
    Heartbeat: agent.heartbeat,
    NoticeReport: agent.noticeReport,
    ProgressReport: agent.progress,
    GatewayReport: gateway.gatewayReport,
    LiveRequest: liveRequest,
  },
  output: {
    Launch: view.launchView,
    LaunchDetail: view.launchDetail,
    Attempt: view.attemptView,
    Phase: view.phaseView,
    Node: view.nodeView,
    NodeDetail: view.nodeDetail,
    Event: view.eventView,
    LogLine: view.logLine,
    NodeSamples: nodeSamplesView,
    Deployment: view.deploymentView,
    DeploymentSamples: deploymentSamplesView,
    Model: modelView,
    CatalogModel: catalogCard,
    Offer: view.offerView,
    Fit: fitView,
    Plan: planView,
    Key: view.keyView,
    Me: view.meView,
    Operator: view.operatorView,
    Loop: loopView,
    Status: view.statusView,
    Spend: spendView,
    AuditRow: view.auditView,
    Failure: agent.failureSchema,
    Gpu: agent.gpuSchema,
    Problem: view.problem,
    AgentReply: agent.agentReply,
    JoinReply: agent.joinReply,
    RoutingTable: gateway.routingTable,
    DownloadIndex: downloadIndex,
    LiveMessage: liveMessage,
  },
}

/** The OpenAPI 3.1 document of the contract, made from the same schemas as the server checks by. */
export function openApiDocument(version: string): Json {
  const schemas: Json = {}
  const input = makeSchemas('input', schemas)
  const output = makeSchemas('output', schemas)
  const paths: Record<string, Json> = {}
  for (const [name, route] of Object.entries(routes) as [string, Route][]) {
    const path = route.path.replace(':id', '{id}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(name, route, input, output) }
  }
  Object.assign(paths, morePaths({ input, output }, refusedAs(output)))
  return {
    openapi: '3.1.0',
    info: { title: 'Flightdeck', version, description: 'The control plane of GPU inference nodes.' },
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'flightdeck-<install>',
          description:
            'For browsers, made by signIn; over TLS its name begins with __Host-. A call that changes something is taken only ' +
            'from a page of the same address: Sec-Fetch-Site says same-origin, or, where that is absent, Origin names the host.',
        },
      },
    },
  }
}

/** Turns schemas into JSON Schema; those with a name land in `components` and are referred to. */
function makeSchemas(direction: Direction, components: Json): (schema: z.ZodType) => Json {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(names[direction])) registry.add(schema, { id })
  return (schema) => {
    const made = z.toJSONSchema(schema, {
      io: direction,
      metadata: registry,
      target: 'draft-2020-12',
      reused: 'inline',
      // A reply may grow: whoever reads it must not refuse a field that is new.
      override: ({ jsonSchema }) => {
        if (direction === 'output') delete jsonSchema.additionalProperties
      },
    }) as Json
    const own = registry.get(schema)?.id
    const { $schema: _, $defs, id: __, ...rest } = made
    for (const [id, inner] of Object.entries(($defs ?? {}) as Json))
      components[id] ??= pointed(withoutId(inner as Json))
    if (!own) return pointed(rest)
    components[own] ??= pointed(rest)
    return { $ref: `#/components/schemas/${own}` }
  }
}

const withoutId = ({ id: _, ...rest }: Json): Json => rest

function pointed<T>(value: T): T {
  return JSON.parse(JSON.stringify(value).replaceAll('"#/$defs/', '"#/components/schemas/')) as T
}

type ToSchema = (schema: z.ZodType) => Json

function operation(name: string, route: Route, input: ToSchema, output: ToSchema): Json {
  const isText = route.reply instanceof z.ZodString
  const ok = {
    description: 'Done',
    content: { [isText ? textType(name) : 'application/json']: { schema: output(route.reply) } },
  }
  const refused = refusedAs(output)
  const parameters = parametersOf(name, route, input)
  return {
    operationId: name,
    summary: route.summary,
    description: `Who may: ${who(route.access)}.`,
    security: securityOf(route.access),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body
      ? {
          requestBody: {
            required: !route.body.safeParse(undefined).success,
            content: { 'application/json': { schema: input(route.body) } },
          },
        }
      : {}),
    responses: {
      [String(route.status ?? 200)]: ok,
      ...moreAnswers(name, ok),
      ...(route.limited ? { 429: { ...refused, ...tooOften } } : {}),
      default: refused,
    },
  }
}

/** A person may come with either; machines have tokens only. */
function securityOf(access: Access): Json[] {
  if (access === 'anyone') return []
  return isRole(access) ? [{ bearer: [] }, { session: [] }] : [{ bearer: [] }]
}

/** A chat comes in events as they are made. */
const textType = (name: string): string => (name === 'chat' ? 'text/event-stream' : 'text/plain')

const tooOften = {
  description: 'This person asked for machines too often within a minute',
  headers: { 'Retry-After': { description: 'Seconds until it may be tried again', schema: { type: 'integer' } } },
}

const refusedAs = (output: ToSchema): Json => ({
  description: 'Refused',
  content: { 'application/json': { schema: output(view.problem) } },
})

function moreAnswers(name: string, ok: Json): Json {
  if (name === 'createLaunch') return { 200: { ...ok, description: 'A dry run: the plan' } }
  if (name === 'cancelLaunch')
    return { 200: { ...ok, description: 'It was cancelled before, and nothing of it is left' } }
  if (name === 'gatewayTable') return { 204: { description: 'The wait is over and nothing changed' } }
  return name === 'health' ? { 503: { ...ok, description: 'The database does not answer' } } : {}
}

const isRole = (access: Access): access is Role => (roles as readonly string[]).includes(access)

function who(access: Access): string {
  const machines = { anyone: 'anyone', joining: 'an agent with its join token', node: 'an agent with its credential' }
  if (access === 'anyone' || access === 'joining' || access === 'node') return machines[access]
  if (access === 'gateway') return 'a gateway of this install'
  return access === 'admin' ? 'an admin' : access === 'operator' ? 'an operator or an admin' : 'everybody with a role'
}

function parametersOf(name: string, route: Route, input: ToSchema): Json[] {
  const inPath = route.path.includes(':id') ? fieldsOf('path', routeParams, input) : []
  const inQuery = route.query ? fieldsOf('query', route.query, input) : []
  const key = {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    description: 'The same key with the same body gives the same launch or deployment.',
    schema: { type: 'string', minLength: 1, maxLength: 128 },
  }
  return [...inPath, ...inQuery, ...(name === 'createLaunch' || name === 'createDeployment' ? [key] : [])]
}

function fieldsOf(place: 'path' | 'query', schema: z.ZodType, input: ToSchema): Json[] {
  const { properties = {}, required = [] } = input(schema) as { properties?: Record<string, Json>; required?: string[] }
  return Object.entries(properties).map(([name, field]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: field,
  }))
}
