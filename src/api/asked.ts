import type { Actor } from '../commands/context.ts'
import type { Role } from '../core/tokens.ts'
import type { RouteName, RouteReply, RouteTypes } from '../wire/routes.ts'

/** A call that passed the door and the schemas of its route. */
export interface Asked<N extends RouteName> {
  readonly id: string
  readonly query: RouteTypes<N>['query']
  readonly body: RouteTypes<N>['body']
  readonly actor: RouteTypes<N>['access'] extends Role ? Actor : null
  /** The bearer token of a machine; intake says what it is good for. */
  readonly token: RouteTypes<N>['access'] extends 'node' | 'joining' ? string : null
  readonly address: string
  readonly idempotencyKey: string | null
  /** Aborts when the caller has gone. */
  readonly gone: () => AbortSignal
}

/** A reply whose status or type is not the one of its route. */
export class Answered<T> {
  readonly status: number
  readonly value: T
  readonly contentType: string | null

  constructor(status: number, value: T, contentType: string | null = null) {
    this.status = status
    this.value = value
    this.contentType = contentType
  }
}

export type Handler<N extends RouteName> = (asked: Asked<N>) => Promise<RouteReply<N> | Answered<RouteReply<N> | null>>

/** One handler for each route of the contract; one too few does not compile. */
export type Handlers<N extends RouteName = RouteName> = { readonly [K in N]: Handler<K> }
