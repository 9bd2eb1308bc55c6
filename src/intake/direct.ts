import { tokenPrefixes } from '../core/tokens.ts'
import type { KeyPair } from '../lib/certificate.ts'
import { sha256 } from '../lib/chance.ts'
import type { Vault } from '../lib/vault.ts'
import type { DirectDoorTerms } from '../wire/agent.ts'

/** How nodes of some clouds are called by the gateways, instead of calling them. */
export interface DirectWay {
  /** The authority that signs for such nodes, in PEM. */
  readonly authority: string
  /** The port that machines of the cloud open; null where it has none. */
  portOf(cloud: string): number | null
  certificateFor(machine: string): KeyPair
}

/** Derived, not drawn: a repeated join and every control plane come to the same. */
export const directTokenOf = (vault: Vault, nodeId: string, instance: string): string =>
  `${tokenPrefixes.direct}${vault.derive(`direct:${nodeId}:${instance}`)}`

interface Joined {
  readonly nodeId: string
  readonly machine: string
  readonly cloud: string
  readonly instance: string
}

/** What the agent listens with. The token itself stays with the gateways: the node needs no more than its hash. */
export function directTermsFor(
  { vault, direct }: { readonly vault: Vault; readonly direct?: DirectWay | null },
  { nodeId, machine, cloud, instance }: Joined,
): DirectDoorTerms | null {
  const port = direct?.portOf(cloud) ?? null
  if (!direct || port === null) return null
  return { port, ...direct.certificateFor(machine), tokenHash: sha256(directTokenOf(vault, nodeId, instance)) }
}
