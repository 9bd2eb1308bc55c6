import { Failure } from '../core/failure.ts'
import type { Tx } from '../store/database.ts'
import { machinesRoomAt } from '../store/launch-requests.ts'
import type { Actor, CommandDeps } from './context.ts'

/**
 * Machines count, not calls: one call may ask for a thousand.
 * @throws Failure `rate_limited` (details.retryAfterS) for a person who asked for too many within a minute, and
 * `bad_request` for more at once than a minute allows.
 */
export async function refuseTooMany(
  deps: CommandDeps,
  actor: Actor,
  tx: Tx,
  { machines, now }: { readonly machines: number; readonly now: number },
): Promise<void> {
  const perMinute = deps.settings.launchesPerMinute
  if (machines > perMinute) {
    const remedy = `Ask for ${perMinute} at most at once, or have \`launch.perMinute\` raised in the configuration.`
    throw new Failure('bad_request', `${machines} machines are more than one person may ask for in a minute.`, {
      remedy,
    })
  }
  const roomAt = await machinesRoomAt(tx, { who: actor.name, machines, perMinute }, now)
  if (roomAt === null) return
  const retryAfterS = Math.max(1, Math.ceil((roomAt - now) / 1000))
  const cause = `With ${machines} more, ${actor.name} would have asked for more than ${perMinute} machines within a minute.`
  throw new Failure('rate_limited', cause, {}, { retryAfterS })
}
