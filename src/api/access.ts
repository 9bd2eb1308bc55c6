// HTTP and live updates on top of commands, intake and reads: who may, what was asked, how it is shown.
// Deliberately absent: routes that are not in the contract, and any write that is not a command's or intake's.

import type { Actor, CommandDeps } from '../commands/context.ts'
import { authenticate } from '../commands/operators.ts'
import { Failure, type FailureCode } from '../core/failure.ts'
import { mayAct, type Role, roles, type TokenKind, tokenKind } from '../core/tokens.ts'
import { sameDigest, sha256 } from '../lib/chance.ts'
import type { Access } from '../wire/routes.ts'
import type { FailedLogins } from './failed-logins.ts'

/** Who calls, once the door was passed. The token of a machine goes on to intake, which knows what it is good for. */
export type Caller =
  | { readonly kind: 'anyone' }
  | { readonly kind: 'person'; readonly actor: Actor }
  | { readonly kind: 'machine'; readonly token: string }
  | { readonly kind: 'gateway' }

export interface Door {
  /** @throws Failure `unauthenticated`, `role_too_low`, `credential_refused`, `join_token_refused` or `rate_limited`. */
  admit(access: Access, authorization: string | undefined, address: string): Promise<Caller>
  /** The person behind a token. @throws Failure `unauthenticated` or `rate_limited`. */
  person(token: string, address: string): Promise<Actor>
}

export interface DoorDeps extends Pick<CommandDeps, 'store'> {
  readonly gatewayTokenHash: string
  readonly failedLogins: FailedLogins
}

export function makeDoor(deps: DoorDeps): Door {
  const { failedLogins } = deps

  async function person(token: string, address: string): Promise<Actor> {
    failedLogins.refuseTooMany(token, address)
    const actor = await authenticate(deps, token, address)
    if (actor) {
      failedLogins.succeeded(token)
      return actor
    }
    failedLogins.failed(token, address)
    throw new Failure('unauthenticated', 'The token is unknown or was disabled.')
  }

  function gateway(token: string, address: string): Caller {
    failedLogins.refuseTooMany(token, address)
    if (sameDigest(sha256(token), deps.gatewayTokenHash)) return { kind: 'gateway' }
    failedLogins.failed(token, address)
    throw new Failure('unauthenticated', 'This is not the token of a gateway of this install.')
  }

  return {
    person,
    async admit(access, authorization, address) {
      if (access === 'anyone') return { kind: 'anyone' }
      const token = bearerOf(authorization)
      const kind = tokenKind(token)
      if (isRole(access)) {
        if (kind !== 'operator') throw wrongKind(kind, 'role_too_low')
        const actor = await person(token, address)
        if (!mayAct(actor.role, access)) throw roleTooLow(actor, access)
        return { kind: 'person', actor }
      }
      if (kind !== kindFor[access]) throw wrongKind(kind, refusalFor[access])
      if (access === 'gateway') return gateway(token, address)
      failedLogins.refuseTooMany(token, address)
      return { kind: 'machine', token }
    },
  }
}

const kindFor = { joining: 'join', node: 'node', gateway: 'gateway' } as const
const refusalFor = {
  joining: 'join_token_refused',
  node: 'credential_refused',
  gateway: 'role_too_low',
} as const satisfies Record<string, FailureCode>

const isRole = (access: Access): access is Role => (roles as readonly string[]).includes(access)

function bearerOf(authorization: string | undefined): string {
  const token = /^Bearer ([\w.-]{1,512})$/i.exec(authorization ?? '')?.[1]
  if (!token) throw new Failure('unauthenticated', 'The call carries no bearer token.')
  return token
}

/** A token that is none of ours says nothing; one of ours at the wrong door is told so. */
function wrongKind(kind: TokenKind | null, code: FailureCode): Failure {
  if (kind === null) return new Failure('unauthenticated', 'This is not a token of Flightdeck.')
  return new Failure(code, `A token of the kind "${kind}" does not open this.`)
}

function roleTooLow({ name, role }: Actor, needed: Role): Failure {
  return new Failure('role_too_low', `${name} is ${role}; this needs ${needed}.`)
}
