import { reverse } from '../wire/paths.ts'
import { ask, NoAnswer } from './ask.ts'
import type { NodePool } from './pool.ts'
import type { Router } from './route.ts'

export interface PulseTimes {
  readonly quietMs: number
  readonly aliveTimeoutMs: number
}

interface Beat {
  /** When it was last asked: monotonic ms. */
  askedAt: number
  asking: boolean
  /** Questions without an answer since its last sign of life. */
  unanswered: number
  /** One of them went out: where none could, for want of a connection, the agent may live and fail to dial. */
  reached: boolean
}

// About 15 s. The kernel takes 25 s to give up a connection over which nothing is under way, and 15 minutes for any other.
const lostAfter = 4

/**
 * Finds machines that vanish without a word. While requests wait at a node and not a byte comes, its agent is asked whether
 * it is there: an engine may think for minutes, but whoever only passes its words on answers at once.
 */
export class Pulse {
  readonly #router: Router
  readonly #times: PulseTimes
  readonly #silent: (pool: NodePool, detail: string) => void
  readonly #beats = new WeakMap<NodePool, Beat>()

  /** `silent`: nobody answers at the node; told again with each question that has no answer. */
  constructor(router: Router, times: PulseTimes, silent: (pool: NodePool, detail: string) => void) {
    this.#router = router
    this.#times = times
    this.#silent = silent
  }

  /** Asks where it is due. `now`: monotonic ms. */
  sweep(now: number) {
    for (const pool of this.#router.pools.values()) if (pool.inFlight > 0) this.#look(pool, now)
  }

  #look(pool: NodePool, now: number) {
    const beat = this.#beatOf(pool)
    // Where all that an agent may lend is in use nothing is free to ask over, and that says nothing of it.
    if (beat.asking || pool.full) return
    if (lifeOf(pool) > beat.askedAt) Object.assign(beat, { unanswered: 0, reached: false })
    if (beat.unanswered === 0 && now - Math.max(lifeOf(pool), pool.busySince) < this.#times.quietMs) return
    Object.assign(beat, { askedAt: now, asking: true })
    ask(pool, { method: 'GET', path: reverse.alivePath }, this.#times.aliveTimeoutMs)
      // Another error than silence is a connection that broke, which whoever used it is told.
      .catch((error: unknown) => error instanceof NoAnswer && this.#unanswered(pool, beat, error.asked))
      .finally(() => {
        beat.asking = false
      })
  }

  #unanswered(pool: NodePool, beat: Beat, reached: boolean) {
    if (lifeOf(pool) > beat.askedAt || pool.full || this.#router.pools.get(pool.node.id) !== pool) return
    beat.unanswered += 1
    beat.reached ||= reached
    const seconds = this.#times.aliveTimeoutMs / 1_000
    this.#silent(pool, `Its agent did not answer within ${seconds} s, while requests wait for it.`)
    if (beat.unanswered >= lostAfter && beat.reached) pool.closeAll('The node fell silent.')
  }

  #beatOf(pool: NodePool): Beat {
    const known = this.#beats.get(pool)
    if (known) return known
    const beat = { askedAt: Number.NEGATIVE_INFINITY, asking: false, unanswered: 0, reached: false }
    this.#beats.set(pool, beat)
    return beat
  }
}

/** When anything last came from its agent: monotonic ms. */
const lifeOf = (pool: NodePool): number => Math.max(pool.heardAt, pool.completedAt, pool.aliveAt)
