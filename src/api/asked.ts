import type { Readable } from 'node:stream'
import type { Actor } from '../commands/context.ts'
import type { Session } from '../commands/sessions.ts'
import type { Role } from '../core/tokens.ts'
import type { RouteName, RouteReply, RouteTypes } from '../wire/routes.ts'

/** A call that passed the door and the schemas of its route. */
export interface Asked<N extends RouteName> {
  readonly id: string
  readonly query: RouteTypes<N>['query']
  readonly body: RouteTypes<N>['body']
  readonly actor: RouteTypes<N>['access'] extends Role ? Actor : null
  /** Of a person who is signed in with a browser; null for who came with a token. */
  readonly session: Session | null
  readonly browser: Browser
  /** The bearer token of a machine; intake says what it is good for. */
  readonly token: RouteTypes<N>['access'] extends 'node' | 'joining' ? string : null
  readonly address: string
  readonly idempotencyKey: string | null
  /** Aborts when the caller has gone. */
  readonly gone: () => AbortSignal
}

/** What is known of a caller that may be a browser. */
export interface Browser {
  /** It says that a page of ours asks. */
  readonly isOwnPage: boolean
  /** What makes it keep the value of a session, or with null forget it. */
  keep(value: string | null, maxAgeS: number): Headers
}

type Headers = Readonly<Record<string, string>>

/** A reply whose status or headers are not those of its route. */
export class Answered<T> {
  readonly status: number
  readonly value: T
  readonly headers: Headers

  constructor(status: number, value: T, headers: Headers = {}) {
    this.status = status
    this.value = value
    this.headers = headers
  }
}

/** A reply that is passed on as it comes. */
export class Streamed {
  readonly body: Readable
  readonly headers: Headers

  constructor(body: Readable, headers: Headers) {
    this.body = body
    this.headers = headers
  }
}

export type Handler<N extends RouteName> = (
  asked: Asked<N>,
) => Promise<RouteReply<N> | Answered<RouteReply<N> | null> | Streamed>

/** One handler for each route of the contract; one too few does not compile. */
export type Handlers<N extends RouteName = RouteName> = { readonly [K in N]: Handler<K> }
