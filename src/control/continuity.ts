import type { WatchBegin } from '../core/guard.ts'
import type { Clock } from '../lib/clock.ts'

// A loop that comes this late means that the database, the clock or this process was away.
const gapMs = 15_000
// Between two beats, a second apart, a clock that is steered moves by less than a millisecond.
const jumpMs = 5_000
// An event loop that was held up for longer may have let words wait until who said them gave up.
const lagMs = 1_000
/** How often it is looked at. */
export const tickMs = 250

/**
 * Since when this server has been working without a gap. What happened in a gap nobody watched: limits do not run out in
 * it, and heartbeats that are missing from it accuse nobody.
 */
export class Continuity {
  #since: number
  #began: WatchBegin = 'start'
  #beatAt: number
  #steadyAt: number | null = null
  /** How far the clock is from the machine's own count of time, as the rows know it or are being told. */
  #offset: number | null = null
  #isTelling = false
  #tickAt: number | null = null
  #heldUpAt: number | null = null

  constructor(startedAt: number) {
    this.#since = startedAt
    this.#beatAt = startedAt
  }

  /** Epoch ms. */
  get since(): number {
    return this.#since
  }

  /** What came before that. */
  get began(): WatchBegin {
    return this.#began
  }

  /** When this process was last held up: what it had to hear meanwhile may be lost. Null: never. */
  get heldUpAt(): number | null {
    return this.#heldUpAt
  }

  /** Told each `tickMs`, by a timer that comes late when nothing else came in time either. */
  tick(now: number, steady: number): void {
    if (this.#tickAt !== null && steady - this.#tickAt > tickMs + lagMs) this.#heldUpAt = now
    this.#tickAt = steady
  }

  /** Has `tell` tell the rows by how much the clock was set ahead, once, whoever else asks meanwhile; 0: it was not. */
  async tellJump(now: number, steady: number, tell: (aheadMs: number) => Promise<void>): Promise<void> {
    const before = this.#offset
    const aheadMs = this.#aheadMs(now, steady)
    this.#offset = now - steady
    if (aheadMs === 0) return tell(0)
    this.#isTelling = true
    try {
      await tell(aheadMs)
    } catch (error) {
      this.#offset = before
      throw error
    } finally {
      this.#isTelling = false
    }
  }

  #aheadMs(now: number, steady: number): number {
    const movedMs = now - steady - (this.#offset ?? now - steady)
    return movedMs > jumpMs ? movedMs : 0
  }

  /** For who decides by the rows: it tells no time that they do not know of, so that nobody's time runs out by a jump. */
  knownTo(clock: Clock): Clock {
    const now = () => {
      const at = clock.now()
      if (this.#isTelling || this.#aheadMs(at, clock.monotonicMs()) > 0)
        throw new Error('The clock was set ahead in the middle of the pass, which is made again.')
      return at
    }
    return { now, monotonicMs: () => clock.monotonicMs() }
  }

  /** True when the next beat ends a gap: it comes late, or the clock has moved by itself. `steady`: monotonic ms. */
  hasBroken(now: number, steady: number): boolean {
    return Math.abs(now - this.#beatAt) > gapMs || this.#hasJumped(now, steady)
  }

  #hasJumped(now: number, steady: number): boolean {
    return this.#steadyAt !== null && Math.abs(now - this.#beatAt - (steady - this.#steadyAt)) > jumpMs
  }

  /** Told by every loop whenever the database has answered it. */
  beat(now: number, steady: number): void {
    if (this.hasBroken(now, steady)) {
      this.#since = now
      this.#began = this.#hasJumped(now, steady) ? 'clock' : 'gap'
    }
    this.#beatAt = now
    this.#steadyAt = steady
  }
}
