import { armSweep, setPaused } from '../store/pause.ts'
import { act } from './act.ts'
import type { Actor, CommandDeps } from './context.ts'

/** Pauses or resumes all automation: while paused, loops watch and tell, and act on nothing; launches queue up. */
export function pauseAutomation(
  deps: CommandDeps,
  actor: Actor,
  { paused, reason }: { paused: boolean; reason: string },
): Promise<{ paused: boolean }> {
  return act(deps, actor, async (tx) => {
    const changed = await setPaused(tx, paused, actor.name, reason)
    const action = paused ? 'automation.pause' : 'automation.resume'
    return { result: { paused }, audit: changed ? { action, target: 'install', detail: { reason } } : null }
  })
}

/** Lets the sweep release machines that no row knows: somebody has looked at them and they are nobody's. */
export function armTheSweep(deps: CommandDeps, actor: Actor): Promise<{ armed: boolean }> {
  return act(deps, actor, async (tx) => {
    const changed = await armSweep(tx)
    return { result: { armed: true }, audit: changed ? { action: 'sweep.arm', target: 'install', detail: {} } : null }
  })
}
