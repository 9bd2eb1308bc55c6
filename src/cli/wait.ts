import { setTimeout as pause } from 'node:timers/promises'
import { type Context, untilInterrupted } from './context.ts'
import { asCliFailure, type ExitCode, exitCodes } from './exit.ts'

/** Often enough for a person, seldom enough for the control plane. */
const everyMs = 500
/** A control plane that restarts is waited for; what was asked of it goes on meanwhile. */
const patienceMs = 120_000

/**
 * Looks until it is so, then 0; Ctrl-C ends the waiting and not what is waited for. `look` resolves to what it saw once it
 * is so, and to null before.
 */
export async function waitUntil<T>(
  { connection }: Context,
  look: () => Promise<T | null>,
  tell: (seen: T) => void,
): Promise<ExitCode> {
  const { signal, done } = untilInterrupted()
  let heardAt = performance.now()
  try {
    while (!signal.aborted) {
      const seen = await look().catch((error: unknown) => {
        const failure = asCliFailure(error, connection.url)
        if (failure.exitCode !== exitCodes.unreachable || performance.now() - heardAt > patienceMs) throw failure
        return undefined
      })
      if (seen !== undefined) heardAt = performance.now()
      if (seen !== undefined && seen !== null) {
        tell(seen)
        return exitCodes.ok
      }
      // The only rejection is the abort, which is looked at next.
      await pause(everyMs, undefined, { signal }).catch(() => undefined)
    }
    return exitCodes.interrupted
  } finally {
    done()
  }
}
