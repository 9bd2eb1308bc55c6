import { setTimeout as after } from 'node:timers/promises'
import type { Clock } from '../../lib/clock.ts'
import type { SkyApi } from './api.ts'

interface Doubted {
  nextAt: number
  waitMs: number
}

// It takes a worker that launches need too, 3 s on Slurm; whoever is doubted for longer shows in the server's own looks.
const firstWaitMs = 15_000
const longestWaitMs = 10 * 60_000
const mostAtOnce = 32
// Less than a claim lasts. What is not there by then is told by the next look.
const patienceMs = 8_000
// Looks come twice a minute: whoever is not doubted by then has spoken again.
const forgetMs = 120_000

/**
 * The server lists machines as it remembers them, and looks at its clouds once a minute. For those that are doubted it is
 * made to look at once: all of them together, never two such looks at the same time, and ever less often.
 */
export class FreshLooks {
  readonly #api: Pick<SkyApi, 'refresh'>
  readonly #clock: Clock
  readonly #doubted = new Map<string, Doubted>()
  #running: Promise<void> | null = null

  constructor(api: Pick<SkyApi, 'refresh'>, clock: Clock) {
    this.#api = api
    this.#clock = clock
  }

  /** True when the server was made to look: a list that it was asked for before may be an old one. */
  async ensure(doubted: readonly string[]): Promise<boolean> {
    if (doubted.length === 0) return false
    this.#running ??= this.#begin(this.#due(doubted))
    if (this.#running === null) return false
    const enough = new AbortController()
    const patience = after(patienceMs, undefined, { signal: enough.signal }).catch(() => undefined)
    await Promise.race([this.#running, patience])
    enough.abort()
    return true
  }

  #begin(names: readonly string[]): Promise<void> | null {
    if (names.length === 0) return null
    const done = () => {
      this.#running = null
    }
    // A server that does not look has said nothing: the list that follows is what it remembers.
    return this.#api.refresh(names).then(done, done)
  }

  #due(doubted: readonly string[]): string[] {
    const now = this.#clock.monotonicMs()
    for (const [name, { nextAt }] of this.#doubted) if (now - nextAt > forgetMs) this.#doubted.delete(name)
    const due = doubted.filter((name) => (this.#doubted.get(name)?.nextAt ?? now) <= now).slice(0, mostAtOnce)
    for (const name of due) {
      const waitMs = Math.min(longestWaitMs, (this.#doubted.get(name)?.waitMs ?? firstWaitMs / 2) * 2)
      this.#doubted.set(name, { nextAt: now + waitMs, waitMs })
    }
    return due
  }
}
