type End = () => Promise<void> | void

/** What was started, so that it can be ended, last first. An end that fails is told, and keeps no other from its end. */
export class Undo {
  readonly #ends: { readonly what: string; readonly end: End }[] = []
  readonly #tell: (what: string, error: unknown) => void

  constructor(tell: (what: string, error: unknown) => void) {
    this.#tell = tell
  }

  add(what: string, end: End): void {
    this.#ends.push({ what, end })
  }

  /** Resolves when all have ended. What a first run has ended, a second one leaves alone. */
  async run(): Promise<void> {
    for (let next = this.#ends.pop(); next; next = this.#ends.pop()) {
      try {
        await next.end()
      } catch (error) {
        this.#tell(next.what, error)
      }
    }
  }
}
