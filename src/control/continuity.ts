// A loop that comes this late means that the database, the clock or this process was away.
const gapMs = 15_000

/**
 * Since when this server has been working without a gap. What happened in a gap nobody watched: limits do not run out in
 * it, and heartbeats that are missing from it accuse nobody.
 */
export class Continuity {
  #since: number
  #beatAt: number

  constructor(startedAt: number) {
    this.#since = startedAt
    this.#beatAt = startedAt
  }

  /** Epoch ms. */
  get since(): number {
    return this.#since
  }

  /** Told by every loop whenever the database has answered it. */
  beat(now: number): void {
    if (Math.abs(now - this.#beatAt) > gapMs) this.#since = now
    this.#beatAt = now
  }
}
