export interface Queued {
  readonly launchId: string
  readonly owner: string
  readonly queuedAt: number
}

/**
 * The order in which queued launches are admitted: first come first served within an owner, fair between owners. The
 * owner with the fewest attempts in flight is next; each admission counts as one more.
 */
export function admissionOrder(queued: readonly Queued[], inFlightByOwner: ReadonlyMap<string, number>): string[] {
  const byOwner = new Map<string, Queued[]>()
  for (const entry of [...queued].sort(olderFirst)) {
    byOwner.set(entry.owner, [...(byOwner.get(entry.owner) ?? []), entry])
  }
  const weighed = [...byOwner].flatMap(([owner, entries]) =>
    entries.map((entry, i) => ({ entry, load: (inFlightByOwner.get(owner) ?? 0) + i })),
  )
  return weighed.sort((a, b) => a.load - b.load || olderFirst(a.entry, b.entry)).map(({ entry }) => entry.launchId)
}

function olderFirst(a: Queued, b: Queued): number {
  return a.queuedAt - b.queuedAt || (a.launchId < b.launchId ? -1 : 1)
}

/** A server that works on the launches of some clouds, with so many workers: the rest would wait in its own queue. */
export interface LaunchServer {
  readonly name: string
  readonly clouds: readonly string[]
  readonly atOnce: number
}

export interface QueueLimits {
  /** Launches that try at the same time. */
  readonly attemptsInFlight: number
  readonly launchServers: readonly LaunchServer[]
}

/** What is being tried: launches in all, and for each cloud the machines that its server still works on. */
export interface QueueLoad {
  readonly inFlight: number
  readonly starting: ReadonlyMap<string, number>
  /** Clouds whose server has not begun with what it was given a while ago: our first place in its own queue. */
  readonly waiting: ReadonlyMap<string, number>
}

/** A queued launch and the cloud of the offer that it would try first. */
export interface Waiting {
  readonly launchId: string
  readonly cloud: string | null
}

const serverOf = ({ launchServers }: QueueLimits, cloud: string | null): LaunchServer | undefined =>
  launchServers.find(({ clouds }) => cloud !== null && clouds.includes(cloud))

/**
 * Why the cloud's server takes no further launch now, or null. Others launch there too, and how many workers it really
 * has it does not say: but one of ours that waits for a worker says that there is none free.
 */
export function fullServerOf(cloud: string | null, load: QueueLoad, limits: QueueLimits): string | null {
  const server = serverOf(limits, cloud)
  if (!server) return null
  const { name, clouds, atOnce } = server
  const places = clouds.flatMap((one) => load.waiting.get(one) ?? [])
  if (places.length > 0)
    return `${name} has no worker free: a launch that it was given waits at place ${Math.min(...places)} of its own queue`
  const busy = clouds.reduce((sum, one) => sum + (load.starting.get(one) ?? 0), 0)
  return busy >= atOnce
    ? `${name} works on ${atOnce} launches, as many as it should at a time (skypilot.launchesAtOnce)`
    : null
}

/**
 * Why each queued launch has to wait, in the order of their admission; null: it may begin. One that waits for a server
 * holds nobody up who would ask another one.
 */
export function holdsOf(
  order: readonly Waiting[],
  load: QueueLoad,
  limits: QueueLimits,
): ReadonlyMap<string, string | null> {
  const starting = new Map(load.starting)
  let inFlight = load.inFlight
  return new Map(
    order.map(({ launchId, cloud }) => {
      if (inFlight >= limits.attemptsInFlight) return [launchId, turnHold(limits)]
      const full = fullServerOf(cloud, { ...load, starting }, limits)
      if (full !== null) return [launchId, full]
      inFlight += 1
      if (cloud !== null) starting.set(cloud, (starting.get(cloud) ?? 0) + 1)
      return [launchId, null]
    }),
  )
}

const turnHold = ({ attemptsInFlight }: QueueLimits): string =>
  `${attemptsInFlight} launches are being tried, as many as may be at a time (queue.attemptsInFlight)`
