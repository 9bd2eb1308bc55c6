// The loops that make it so: look, decide, save, fulfil.
// Deliberately absent: events as input, and loops that know of each other; they meet in rows only.
import type { Clouds } from '../clouds/cloud.ts'
import { type Pace, paceOf } from '../core/pace.ts'
import type { Settings } from '../core/settings.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Vault } from '../lib/vault.ts'
import type { Db } from '../store/database.ts'
import type { Continuity } from './continuity.ts'

/** What every loop is given. */
export interface ControlDeps {
  readonly db: Db
  readonly clouds: Clouds
  readonly clock: Clock
  readonly log: Log
  readonly settings: Settings
  readonly vault: Vault
  readonly install: string
  /** Shared by all loops of this server: since when it has been watching without a gap. */
  readonly continuity: Continuity
  /** How many nodes speak to us. */
  readonly fleetSize: () => Promise<number>
}

/** How often agents speak, and for how long the last words about a node count. */
export async function paceNow({ settings, fleetSize }: ControlDeps): Promise<Pace> {
  return paceOf(settings, await fleetSize())
}
