import type { SignalAges } from './health.ts'

/** How often agents speak, and how long each witness's last word counts. */
export interface Pace {
  readonly heartbeatMs: number
  readonly signalAges: SignalAges
}

// Measured by bench/fleet.ts: as many take a control plane less than a core, PostgreSQL counted in.
const beatsPerSecond = 1_000
// As many may be lost before a heartbeat is stale.
const beatsUntilStale = 5

/** A fleet that would speak more often than is heard well speaks less often, and its last words count for longer. */
export function paceOf({ heartbeatMs, signalAges }: Pace, nodes: number): Pace {
  const everyMs = Math.max(heartbeatMs, Math.ceil((nodes * 1_000) / beatsPerSecond))
  if (everyMs === heartbeatMs) return { heartbeatMs, signalAges }
  const staleMs = Math.max(signalAges.heartbeatMs, beatsUntilStale * everyMs)
  return { heartbeatMs: everyMs, signalAges: { ...signalAges, heartbeatMs: staleMs } }
}

/** A fleet that shrinks is believed by halves: who was told to speak seldom must speak once before that is too seldom. */
export const fleetSizeAfter = (before: number, counted: number): number => Math.max(counted, Math.ceil(before / 2))
