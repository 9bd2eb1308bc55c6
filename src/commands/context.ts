import type { Settings } from '../core/settings.ts'
import type { Role } from '../core/tokens.ts'
import type { Clock } from '../lib/clock.ts'
import type { Vault } from '../lib/vault.ts'
import type { Store } from '../store/database.ts'

/** Who asks, for the audit row. `address` is where the call came from; null for the command line of this machine. */
export interface Actor {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly tenantId: string
  readonly address: string | null
}

export interface CommandDeps {
  readonly store: Store
  readonly clock: Clock
  readonly settings: Settings
  readonly vault: Vault
}
