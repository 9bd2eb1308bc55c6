import type { AgentReply } from '../wire/agent.ts'
import type { Answer } from './control-client.ts'
import { causeOf, readAgentReply } from './replies.ts'

/** What the control plane's answer to a heartbeat or a progress report means. */
export type Word =
  | { readonly kind: 'reply'; readonly reply: AgentReply }
  /** Released: end yourself. */
  | { readonly kind: 'released' }
  /** Another agent holds this credential, or a newer start of this one does: stay out of the way. */
  | { readonly kind: 'second_holder' }
  /** The credential is not known, which a restored database may cause too; the lease decides in the end. */
  | { readonly kind: 'unknown_here' }
  /** This agent is too old for it; gateways may still be served, and the lease decides in the end. */
  | { readonly kind: 'too_old'; readonly why: string }
  /** It read the message and did not like it; sending the same again is useless. */
  | { readonly kind: 'malformed' }
  | { readonly kind: 'unclear'; readonly why: string }

export function readWord({ status, body }: Answer): Word {
  if (status === 410) return { kind: 'released' }
  if (status === 409) return { kind: 'second_holder' }
  if (status === 401 || status === 403) return { kind: 'unknown_here' }
  if (status === 426) return { kind: 'too_old', why: causeOf(body) }
  if (status === 400 || status === 413 || status === 422) return { kind: 'malformed' }
  const reply = status === 200 ? readAgentReply(body) : null
  return reply ? { kind: 'reply', reply } : { kind: 'unclear', why: `unexpected answer, status ${status}` }
}

/** What the answer to a join means. Where it is unclear the same join is sent again. */
export type JoinWord = 'joined' | 'refused' | 'released' | 'again'

export function readJoinWord(status: number, isReply: boolean): JoinWord {
  if (status === 200 || status === 201) return isReply ? 'joined' : 'again'
  if (status === 410) return 'released'
  // 408 and 429 ask for patience; 404 is what a proxy says while the control plane behind it restarts.
  if (status >= 400 && status < 500 && ![404, 408, 429].includes(status)) return 'refused'
  return 'again'
}

/** Doubles from `firstMs` with each failure in a row, up to `mostMs`. */
export function backOff(failures: number, firstMs: number, mostMs: number): number {
  return Math.min(mostMs, firstMs * 2 ** Math.min(20, Math.max(0, failures - 1)))
}
