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
