// A loop that comes this late means that the database, the clock or this process was away.
const gapMs = 15_000
// Between two beats, a second apart, a clock that is steered moves by less than a millisecond.
const jumpMs = 5_000

/**
 * Since when this server has been working without a gap. What happened in a gap nobody watched: limits do not run out in
 * it, and heartbeats that are missing from it accuse nobody.
 */
export class Continuity {
  #since: number
  #beatAt: number
  #steadyAt: number | null = null

  constructor(startedAt: number) {
    this.#since = startedAt
    this.#beatAt = startedAt
  }

  /** Epoch ms. */
  get since(): number {
    return this.#since
  }

  /** True when the next beat ends a gap: it comes late, or the clock has moved by itself. `steady`: monotonic ms. */
  hasBroken(now: number, steady: number): boolean {
    const passedMs = now - this.#beatAt
    const jumpedMs = this.#steadyAt === null ? 0 : passedMs - (steady - this.#steadyAt)
    return Math.abs(passedMs) > gapMs || Math.abs(jumpedMs) > jumpMs
  }

  /** Told by every loop whenever the database has answered it. */
  beat(now: number, steady: number): void {
    if (this.hasBroken(now, steady)) this.#since = now
    this.#beatAt = now
    this.#steadyAt = steady
  }
}
