/** What holds releases back, the first that applies: who has just come up knows nothing of anybody yet. */
export const guardKinds = ['start', 'gap', 'clock', 'held_up', 'suspects', 'gpu_faults'] as const
export type GuardKind = (typeof guardKinds)[number]

/** Why this server's watching began when it did: it started, it was away from its database, or its clock jumped. */
export type WatchBegin = Extract<GuardKind, 'start' | 'gap' | 'clock'>

export interface Guard {
  readonly kind: GuardKind
  /** For people. */
  readonly reason: string
  /** It holds until then, whatever another server of this database knows; null: as long as it is so. Epoch ms. */
  readonly until: number | null
}

/** As many of a pool may fail at once before that says more of us, or of what we did to all of them, than of them. */
export const mostAtOnce = (pool: number): number => Math.max(3, pool / 5)

/** A node that is watched, as far as the guard counts it. */
export interface Counted {
  readonly cloud: string
  /** By its name, for people. */
  readonly deployment: string
  /** It is suspect or dead now. */
  readonly accused: boolean
  /** Its GPU is faulty, and it waits for its turn to be replaced. */
  readonly heldBack: boolean
}

export interface GuardView {
  readonly nodes: readonly Counted[]
  /** Since when the server has been watching without a gap, and what came before. */
  readonly watchingSince: number
  readonly watchBegan: WatchBegin
  /** When it was last too busy to hear anybody; null: never. */
  readonly heldUpAt: number | null
}

// Those that were cut off come back one after the other; a guess. The last of them are not replaced all at once.
export const returnMs = 15_000

// A guess between Nomad's five minutes and the ten seconds in which every agent speaks once.
export const graceMs = 60_000

/** Watching since too short a time to release anything: whoever is alive has yet to be heard. */
export const inGrace = (watchingSince: number, now: number, grace = graceMs): boolean => now < watchingSince + grace

const onlyReplaced = 'A dead one is released once another one serves in its place, or by hand.'

const beginReasons: Readonly<Record<WatchBegin, string>> = {
  start: 'The control plane has just started: who is alive has yet to be heard.',
  gap: 'The control plane was away from its database: heartbeats of that time are unknown.',
  clock: 'The clock of the control plane jumped: who is alive has yet to be heard.',
}

/** Why no node may be released for being dead now, or null; `letsGo` says which may all the same. */
export function guardOf(view: GuardView, now: number, grace = graceMs): Guard | null {
  const { nodes, watchingSince, watchBegan, heldUpAt } = view
  if (inGrace(watchingSince, now, grace))
    return { kind: watchBegan, reason: beginReasons[watchBegan], until: watchingSince + grace }
  if (heldUpAt !== null && inGrace(heldUpAt, now, grace)) {
    const reason = 'The control plane was held up for more than a second: what nodes said meanwhile may be lost.'
    return { kind: 'held_up', reason, until: heldUpAt + grace }
  }
  const many = manySuspects(nodes)
  if (many !== null) {
    const reason = `${many} are suspect: it may be us who are cut off. ${onlyReplaced}`
    return { kind: 'suspects', reason, until: now + returnMs }
  }
  const heldBack = nodes.filter((node) => node.heldBack).length
  if (heldBack === 0) return null
  const reason = `${heldBack} of ${nodes.length} nodes with faulty GPUs wait for their turn: so many at once may be a new driver's doing. ${onlyReplaced}`
  return { kind: 'gpu_faults', reason, until: null }
}

/** The first pool of which too many are accused, in words: all nodes, those of one cloud, those of one deployment. */
function manySuspects(nodes: readonly Counted[]): string | null {
  const poolsBy = (what: 'cloud' | 'deployment') =>
    Object.entries(Object.groupBy(nodes, (node) => node[what])).map(
      ([name, of = []]) => [` of ${what} ${name}`, of] as const,
    )
  for (const [name, of] of [['', nodes] as const, ...poolsBy('cloud'), ...poolsBy('deployment')]) {
    const accused = of.filter((node) => node.accused).length
    if (accused > mostAtOnce(of.length)) return `${accused} of ${of.length} nodes${name}`
  }
  return null
}

/** With what was told to wait for by the pass before, maybe another server's: who saw nothing of it does not lift it. */
export function guardWith(own: Guard | null, standing: Guard | null, now: number, grace = graceMs): Guard | null {
  const until = standing?.until ?? null
  // A clock that was set back leaves a time that no grace reaches.
  const stands = until !== null && until > now && until <= now + Math.max(grace, returnMs)
  return stands && (own?.until ?? 0) < until ? standing : own
}

/**
 * Whether a node may be released for being dead. `replaced`: another one serves in its slot, so that it ends nothing even if
 * it lives. Without that no guard lets it go, however long: only a person or its cloud knows that it is dead.
 */
export const letsGo = (kind: GuardKind | null, replaced: boolean): boolean =>
  kind === null || (replaced && (kind === 'suspects' || kind === 'gpu_faults'))

/** Machines that no row knows wait for no fault of a GPU: what nodes have said plays no part in them. */
export const holdsSweep = (kind: GuardKind | null): boolean => kind !== null && kind !== 'gpu_faults'
