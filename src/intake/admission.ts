// What machines tell us: joins, heartbeats, progress, and the reports of gateways; written in batches where it pays.
// Deliberately absent: decisions about launches and nodes; what is heard is kept, and a loop is woken.
import { Failure } from '../core/failure.ts'
import { sameDigest, sha256 } from '../lib/chance.ts'
import type { Db, Tx } from '../store/database.ts'
import { type KnownNode, knownNodes, saveIncarnation } from '../store/heard.ts'

export type Admission =
  | { readonly kind: 'same' }
  /** The agent was started anew on the same disk: it knows the incarnation that we know. */
  | { readonly kind: 'restarted' }
  | { readonly kind: 'refused'; readonly failure: Failure }

export interface Speaker {
  readonly credentialHash: string
  readonly incarnation: string
  readonly previous: string | null
}

export const speakerOf = (
  credential: string,
  { incarnation, previous }: { incarnation: string; previous: string | null },
): Speaker => ({ credentialHash: sha256(credential), incarnation, previous })

/** Whether a message is the word of the node that it claims to be. */
export function admit(node: KnownNode | undefined, speaker: Speaker): Admission {
  if (!node?.credentialHash || !sameDigest(node.credentialHash, speaker.credentialHash))
    return refused(new Failure('credential_refused', 'The credential does not belong to a node that we know.'))
  if (node.state === 'gone')
    return refused(new Failure('node_released', `The node ${node.id} was released; it is gone for us.`))
  if (node.incarnation === speaker.incarnation) return { kind: 'same' }
  if (node.incarnation === null || speaker.previous === node.incarnation) return { kind: 'restarted' }
  return refused(secondHolder(node.id))
}

/**
 * Lets a restarted agent take over. False when somebody else did so since we looked; it may have been this very agent,
 * with another message, and then all is well.
 */
export async function takesOver(db: Db | Tx, node: KnownNode, { incarnation }: Speaker): Promise<boolean> {
  if (await saveIncarnation(db, node.id, node.incarnation, incarnation)) return true
  return (await knownNodes(db, [node.id])).get(node.id)?.incarnation === incarnation
}

/** Why a word is not taken, or null; where it is, whoever was restarted has taken over. */
export async function whyNotTaken(tx: Tx, node: KnownNode | undefined, speaker: Speaker): Promise<Failure | null> {
  const admission = admit(node, speaker)
  if (admission.kind === 'refused') return admission.failure
  if (admission.kind === 'same' || !node || (await takesOver(tx, node, speaker))) return null
  return secondHolder(node.id)
}

export const secondHolder = (nodeId: string): Failure =>
  new Failure('second_holder', `Another agent speaks for the node ${nodeId}.`)

const refused = (failure: Failure): Admission => ({ kind: 'refused', failure })
