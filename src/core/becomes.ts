/** What becomes of a deployment that gets replicas. `id` null: it is made for them. */
export interface Becomes {
  readonly id: string | null
  readonly wantedFrom: number
  readonly wantedTo: number
}

/** Behind its name; null: it does not take them. */
export function becomesWords(becomes: Becomes | null): string {
  if (becomes === null) return 'which does not take this'
  const { id, wantedFrom, wantedTo } = becomes
  return id === null ? `which is new and wants ${wantedTo}` : `which wants ${wantedTo} instead of ${wantedFrom}`
}
