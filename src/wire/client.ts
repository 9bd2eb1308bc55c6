import type { z } from 'zod'
import { failureRecord } from '../core/failure.ts'
import { type Route, type RouteName, routes } from './routes.ts'
import { type Problem, problem } from './views.ts'

type Routes = typeof routes

type Fields<N extends RouteName> = (Routes[N]['path'] extends `${string}/:id${string}`
  ? { readonly params: { readonly id: string } }
  : unknown) &
  QueryField<z.output<NonNullable<Routes[N]['query']>>> &
  BodyField<z.input<NonNullable<Routes[N]['body']>>> & {
    readonly signal?: AbortSignal
  } & (N extends 'createLaunch' | 'createDeployment' ? { readonly idempotencyKey?: string | undefined } : unknown)

/** A query of a route without one is `undefined`; defaults make every field of the others optional. */
type QueryField<Q> = Q extends object ? { readonly query?: { readonly [K in keyof Q]?: Q[K] | undefined } } : unknown
type BodyField<B> = [B] extends [undefined]
  ? unknown
  : undefined extends B
    ? { readonly body?: B }
    : { readonly body: B }

/** Without an argument where nothing has to be given. */
type Arguments<N extends RouteName> = Record<string, never> extends Fields<N> ? [call?: Fields<N>] : [call: Fields<N>]

/** One method for each route of the contract, with the types of its schemas. */
export type Client = {
  readonly [N in RouteName]: (...call: Arguments<N>) => Promise<z.output<Routes[N]['reply']>>
}

export interface ClientOptions {
  /** Scheme, host and port, and a path prefix where the API has one. */
  readonly url: string
  /** Null in a browser that is signed in: its cookie goes along by itself. */
  readonly token: string | null
  readonly fetch?: typeof fetch
}

/** A call that was refused or got no answer. `status` 0: no answer came, so it is unknown whether it was done. */
export class CallFailure extends Error {
  readonly error: Problem['error']
  readonly status: number
  readonly requestId: string

  constructor(error: Problem['error'], status: number) {
    super(error.cause)
    this.name = 'CallFailure'
    this.error = error
    this.status = status
    this.requestId = error.requestId
  }
}

interface Call {
  readonly params?: { readonly id: string }
  readonly query?: Readonly<Record<string, unknown>>
  readonly body?: unknown
  readonly idempotencyKey?: string
  readonly signal?: AbortSignal
}

/** The control API as functions: `client.showLaunch({ params: { id } })`. Each rejects with a CallFailure. */
export function makeClient(options: ClientOptions): Client {
  const methods = Object.entries(routes).map(([name, route]) => [
    name,
    (call: Call = {}) => callRoute(options, route, call),
  ])
  return Object.fromEntries(methods) as Client
}

async function callRoute({ url, token, fetch: ask = fetch }: ClientOptions, route: Route, call: Call) {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` }
  if (call.body !== undefined) headers['content-type'] = 'application/json'
  if (call.idempotencyKey !== undefined) headers['idempotency-key'] = call.idempotencyKey
  let response: Response
  let text: string
  try {
    response = await ask(addressOf(url, route, call), {
      method: route.method,
      headers,
      // The token must not follow where an answer points.
      redirect: 'error',
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      ...(call.signal ? { signal: call.signal } : {}),
    })
    text = await response.text()
  } catch (error) {
    if (call.signal?.aborted) throw error
    throw new CallFailure(unanswered(error), 0)
  }
  if (!response.ok) throw new CallFailure(problemIn(text, response), response.status)
  const isJson = response.headers.get('content-type')?.includes('json') ?? false
  return isJson ? JSON.parse(text) : text
}

function addressOf(url: string, route: Route, { params, query }: Call): string {
  const path = route.path.replace(':id', () => encodeURIComponent(params?.id ?? ''))
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined)
  const search = new URLSearchParams(Object.fromEntries(given.map(([key, value]) => [key, String(value)]))).toString()
  return `${url.replace(/\/+$/, '')}${path}${search ? `?${search}` : ''}`
}

function unanswered(error: unknown): Problem['error'] {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const why = inner instanceof Error ? inner.message || inner.name : String(inner)
  const record = failureRecord('internal', `No answer came: ${why}.`, {
    remedy: 'Check that the control plane runs, and that its address is right.',
  })
  return { ...record, code: 'unreachable', requestId: '', details: {} }
}

/** What the server said; or, where something else answered in its place, what that was. */
export function problemIn(text: string, response: Response): Problem['error'] {
  const told = problem.safeParse(parsed(text))
  if (told.success) return told.data.error
  const record = failureRecord('internal', `The answer with status ${response.status} is not one of Flightdeck's.`, {
    remedy: 'Check that the address is that of the control plane, and what stands in front of it.',
    evidence: text.slice(0, 500),
  })
  return { ...record, requestId: response.headers.get('x-request-id') ?? '', details: {} }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A proxy's page, or nothing: shown as it is.
    return null
  }
}
