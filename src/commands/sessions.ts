import { tokenKind, tokenPrefixes } from '../core/tokens.ts'
import { randomName, randomToken, sha256 } from '../lib/chance.ts'
import { tell } from '../store/database.ts'
import { addSession, endSession, livingSession, noteSessionSeen } from '../store/sessions.ts'
import { act } from './act.ts'
import type { Actor, CommandDeps } from './context.ts'

/** A browser that is signed in. It ends at `endsAt`, or at `idleEndsAt` where nothing is heard of it until then. */
export interface Session {
  readonly id: string
  readonly endsAt: number
  readonly idleEndsAt: number
}

type SessionDeps = Pick<CommandDeps, 'store' | 'clock' | 'settings'>

/** Told when sessions of the operator may have ended, so that open sockets look again. */
export const sessionTopic = (operatorId: string): string => `session:${operatorId}`

// Far more than one person has browsers; whoever signs in more often than that signs the oldest out.
const sessionsOfOne = 20
// Being seen is noted this often within the idle time: a page that reads much writes little.
const notesInIdleTime = 60

/** Begins a session. Only the hash of `value` is kept: it is told once, to the browser. */
export function beginSession(deps: SessionDeps, actor: Actor): Promise<{ session: Session; value: string }> {
  const value = randomToken(tokenPrefixes.session)
  const id = `se-${randomName(10)}`
  const { idleS, lifetimeS } = deps.settings.sessions
  return act(deps, actor, async (tx, now) => {
    const endsAt = now + lifetimeS * 1_000
    await addSession(tx, {
      id,
      valueHash: sha256(value),
      operatorId: actor.id,
      now,
      endsAt,
      idleSince: now - idleS * 1_000,
      atMost: sessionsOfOne,
    })
    const session = { id, endsAt, idleEndsAt: Math.min(endsAt, now + idleS * 1_000) }
    return { result: { session, value }, audit: { action: 'session.begin', target: id, detail: { of: actor.name } } }
  })
}

/** Ends a session, in every tab. Ending it twice is ending it once. */
export function finishSession(deps: SessionDeps, actor: Actor, sessionId: string): Promise<void> {
  return act(deps, actor, async (tx) => {
    const ended = await endSession(tx, sessionId)
    if (ended) await tell(tx, [sessionTopic(actor.id)])
    const audit = ended ? { action: 'session.end', target: sessionId, detail: { of: actor.name } } : null
    return { result: undefined, audit }
  })
}

/** Who a cookie belongs to, or null: unknown, over, or its operator was disabled. The session counts as used by that. */
export async function resumeSession(
  { store: { db }, clock, settings }: SessionDeps,
  value: string,
  address: string | null,
): Promise<{ actor: Actor; session: Session } | null> {
  if (tokenKind(value) !== 'session') return null
  const now = clock.now()
  const idleMs = settings.sessions.idleS * 1_000
  const found = await livingSession(db, sha256(value), now, now - idleMs)
  if (!found) return null
  const { id, seenAt, endsAt, operator } = found
  if (now - seenAt >= idleMs / notesInIdleTime) await noteSessionSeen(db, id, now)
  const { id: operatorId, name, role, tenantId } = operator
  const session = { id, endsAt, idleEndsAt: Math.min(endsAt, now + idleMs) }
  return { actor: { id: operatorId, name, role, tenantId, address }, session }
}
