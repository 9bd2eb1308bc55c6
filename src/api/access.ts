// HTTP and live updates on top of commands, intake and reads: who may, what was asked, how it is shown.
// Deliberately absent: routes that are not in the contract, and any write that is not a command's or intake's.

import type { Actor, CommandDeps } from '../commands/context.ts'
import { authenticate } from '../commands/operators.ts'
import { resumeSession, type Session } from '../commands/sessions.ts'
import { Failure, type FailureCode } from '../core/failure.ts'
import { mayAct, type Role, roles, type TokenKind, tokenKind } from '../core/tokens.ts'
import { sameDigest, sha256 } from '../lib/chance.ts'
import type { Access } from '../wire/routes.ts'
import type { FailedLogins } from './failed-logins.ts'

/** Who calls, once the door was passed. The token of a machine goes on to intake, which knows what it is good for. */
export type Caller =
  | { readonly kind: 'anyone' }
  | ({ readonly kind: 'person' } & SignedIn)
  | { readonly kind: 'machine'; readonly token: string }
  | { readonly kind: 'gateway' }

export interface SignedIn {
  readonly actor: Actor
  /** Null for who came with a token. */
  readonly session: Session | null
}

/** What a call shows. A token wins over a cookie, which browsers send along unasked. */
export interface Knock {
  readonly authorization: string | undefined
  readonly cookie: string | null
  /** False: a cookie opens nothing, because another site may have had the call sent. */
  readonly cookieCounts: boolean
  readonly address: string
}

export interface Door {
  /**
   * @throws Failure `unauthenticated`, `role_too_low`, `origin_refused`, `credential_refused`, `join_token_refused` or
   * `rate_limited`.
   */
  admit(access: Access, knock: Knock): Promise<Caller>
  /** The person behind a token or the cookie of a session. @throws Failure `unauthenticated` or `rate_limited`. */
  person(secret: string, address: string): Promise<SignedIn>
  /** The person behind a token, and nothing else. @throws Failure `unauthenticated`, `role_too_low` or `rate_limited`. */
  tokenOfPerson(token: string, address: string): Promise<Actor>
}

export interface DoorDeps extends Pick<CommandDeps, 'store' | 'clock' | 'settings'> {
  readonly gatewayTokenHash: string
  readonly failedLogins: FailedLogins
}

export function makeDoor(deps: DoorDeps): Door {
  const { failedLogins } = deps

  async function person(secret: string, address: string): Promise<SignedIn> {
    if (tokenKind(secret) === 'session') return bySession(secret, address)
    return { actor: await byToken(secret, address), session: null }
  }

  // Not counted as failed: an open page whose session ended asks a few times more, and nobody guesses 256 bits.
  async function bySession(value: string, address: string): Promise<SignedIn> {
    const signedIn = await resumeSession(deps, value, address)
    if (!signedIn) throw new Failure('unauthenticated', 'The session is over.', { remedy: signInAgain })
    return signedIn
  }

  async function byToken(token: string, address: string): Promise<Actor> {
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

  async function withRole(access: Role, knock: Knock): Promise<Caller> {
    const secret = personsSecret(knock)
    const signedIn = await person(secret, knock.address)
    if (!mayAct(signedIn.actor.role, access)) throw roleTooLow(signedIn.actor, access)
    return { kind: 'person', ...signedIn }
  }

  return {
    person,
    tokenOfPerson: (token, address) => byToken(personsToken(token), address),
    async admit(access, knock) {
      if (access === 'anyone') return { kind: 'anyone' }
      if (isRole(access)) return withRole(access, knock)
      const { address } = knock
      const token = bearerOf(knock.authorization)
      const kind = tokenKind(token)
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

const signInAgain = 'Sign in again with your token.'

/** @throws Failure where nothing that a person can have was shown, or a cookie that does not count. */
function personsSecret({ authorization, cookie, cookieCounts }: Knock): string {
  if (authorization === undefined && cookie !== null) {
    if (cookieCounts) return cookie
    throw new Failure('origin_refused', 'A page of another address asked with the cookie of this one.', {
      remedy: 'Use the dashboard at its own address; programs send a bearer token instead of a cookie.',
    })
  }
  return personsToken(bearerOf(authorization))
}

function personsToken(token: string): string {
  const kind = tokenKind(token)
  if (kind !== 'operator') throw wrongKind(kind, 'role_too_low')
  return token
}

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
