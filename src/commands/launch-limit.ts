import { Failure } from '../core/failure.ts'
import type { Tx } from '../store/database.ts'
import { limitReachedUntil } from '../store/launch-requests.ts'
import type { Actor, CommandDeps } from './context.ts'

/** What makes machines be rented, as the audit calls it. All of it together is limited. */
const limited = ['launch.create', 'deployment.create', 'deployment.scale'] as const

/** @throws Failure `rate_limited` (details.retryAfterS) for a person who asked for machines too often within a minute. */
export async function refuseTooMany(deps: CommandDeps, actor: Actor, tx: Tx, now: number): Promise<void> {
  const perMinute = deps.settings.launchesPerMinute
  const until = await limitReachedUntil(tx, { who: actor.name, actions: limited }, perMinute, now)
  if (until === null) return
  const retryAfterS = Math.max(1, Math.ceil((until - now) / 1000))
  const cause = `${actor.name} has asked for machines ${perMinute} times within a minute.`
  throw new Failure('rate_limited', cause, {}, { retryAfterS })
}
