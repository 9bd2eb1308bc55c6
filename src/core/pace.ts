import type { SignalAges } from './health.ts'

/** How often agents speak, and how long each witness's last word counts. */
export interface Pace {
  readonly heartbeatMs: number
  readonly signalAges: SignalAges
  /** How long nothing is released after a time in which nobody was heard. */
  readonly graceMs: number
}

// Measured by bench/fleet.ts: as many take a control plane less than a core, PostgreSQL counted in.
const beatsPerSecond = 1_000
// As many may be lost before a heartbeat is stale.
const beatsUntilStale = 5
// One of them may be lost.
const beatsInGrace = 2

/** A fleet that would speak more often than is heard well speaks less often, its last words count for longer, and so does the grace. */
export function paceOf({ heartbeatMs, signalAges, graceMs }: Pace, nodes: number): Pace {
  const everyMs = Math.max(heartbeatMs, Math.ceil((nodes * 1_000) / beatsPerSecond))
  if (everyMs === heartbeatMs) return { heartbeatMs, signalAges, graceMs }
  const staleMs = Math.max(signalAges.heartbeatMs, beatsUntilStale * everyMs)
  return {
    heartbeatMs: everyMs,
    signalAges: { ...signalAges, heartbeatMs: staleMs },
    graceMs: Math.max(graceMs, beatsInGrace * everyMs),
  }
}

/** A fleet that shrinks is believed by halves: who was told to speak seldom must speak once before that is too seldom. */
export const fleetSizeAfter = (before: number, counted: number): number => Math.max(counted, Math.ceil(before / 2))

const leaseSpread = 0.1

/** Longer for some, by up to a tenth: a fleet that nobody speaks to for hours does not end in one moment. */
export function leaseMsOf(leaseMs: number, nodeId: string): number {
  // FNV-1a: the same for every server, and after a restart.
  let hash = 0x811c9dc5
  for (const letter of nodeId) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193)
  return Math.round(leaseMs * (1 + (leaseSpread * (hash >>> 0)) / 2 ** 32))
}
