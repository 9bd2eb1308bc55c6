// Tools without opinions: the ambient clock and chance, log, back-off, event streams.
// Deliberately absent: every word of the domain.
import { jitter } from './chance.ts'

/** Waits that double from `firstMs` to `maxMs`, each off by a fifth, so that many who failed together do not return together. */
export class Backoff {
  readonly #firstMs: number
  readonly #maxMs: number
  #failures = 0

  constructor(firstMs: number, maxMs: number) {
    this.#firstMs = firstMs
    this.#maxMs = maxMs
  }

  /** The wait after one more failure. */
  next(): number {
    const ms = Math.min(this.#maxMs, this.#firstMs * 2 ** Math.min(30, this.#failures))
    this.#failures += 1
    return Math.round(ms * jitter(0.2))
  }

  /** After a success. */
  reset(): void {
    this.#failures = 0
  }
}
