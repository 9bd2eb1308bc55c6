import { tokenPrefixes } from '../core/tokens.ts'
import type { Vault } from '../lib/vault.ts'

/**
 * The key by which control planes of this install ask its gateways on behalf of people. Derived, so that all of them have
 * the same and none has to be kept; gateways get its hash with those of all others.
 */
export const playgroundKeyOf = (vault: Vault): string => `${tokenPrefixes.key}${vault.derive('playground')}`
