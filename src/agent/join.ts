import { jitter } from '../lib/chance.ts'
import { pause } from '../lib/clock.ts'
import type { JoinReply, JoinRequest } from '../wire/agent.ts'
import { agentPaths } from '../wire/paths.ts'
import type { Answer } from './control-client.ts'
import { backOff, readJoinWord } from './orders.ts'
import type { OwnLog } from './own-log.ts'
import { causeOf, readJoinReply } from './replies.ts'

export interface JoinDeps {
  readonly post: (path: string, bearer: string, body: object) => Promise<Answer>
  readonly log: OwnLog
  readonly stop: AbortSignal
}

export type JoinOutcome =
  | { readonly kind: 'joined'; readonly reply: JoinReply }
  | { readonly kind: 'final'; readonly why: string }
  | { readonly kind: 'stopped' }

/** Exchanges the join token for a credential. A reply that was lost is asked for again: same token, same instance. */
export async function join(deps: JoinDeps, token: string, request: JoinRequest): Promise<JoinOutcome> {
  for (let failures = 1; !deps.stop.aborted; failures++) {
    const { word, reply, why } = await tryOnce(deps, token, request)
    if (word === 'joined' && reply) return { kind: 'joined', reply }
    if (word === 'refused') return { kind: 'final', why: `The join token was refused (${why}).` }
    if (word === 'released') return { kind: 'final', why: 'The node was released before it joined.' }
    deps.log.sayOnce('join', `The control plane did not take the join (${why}); trying again.`)
    await pause(backOff(failures, 250, 10_000) * jitter(0.2), deps.stop)
  }
  return { kind: 'stopped' }
}

async function tryOnce({ post }: JoinDeps, token: string, request: JoinRequest) {
  try {
    const { status, body } = await post(agentPaths.join, token, request)
    const reply = readJoinReply(body)
    return { word: readJoinWord(status, reply !== null), reply, why: `status ${status}: ${causeOf(body)}` }
  } catch (error) {
    return { word: 'again' as const, reply: null, why: error instanceof Error ? error.message : String(error) }
  }
}
