import { tokenPrefixes } from '../core/tokens.ts'
import type { Vault } from '../lib/vault.ts'

/**
 * The join token of a node. It is derived, not drawn: an ask that is repeated after a crash hands out the same token,
 * so the machine of the first ask can still join.
 */
export const joinTokenFor = (vault: Vault, nodeId: string): string =>
  `${tokenPrefixes.join}${nodeId}.${vault.derive(`join:${nodeId}`)}`

/** The node that a join token speaks of, whether or not it is genuine; null for anything else. */
export function nodeIdOfToken(token: string): string | null {
  const found = /^fd_(?:join|node)_(no-[a-z0-9]+)\./.exec(token)
  return found?.[1] ?? null
}
