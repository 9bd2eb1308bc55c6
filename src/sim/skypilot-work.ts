/** What the server works on: by itself, at a share of the time that was recorded, or step by step when it is told to. */
export class SkyWork {
  /** A share of the time that was recorded. */
  pace: number
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #byHand: Map<string, () => void> | null

  constructor({ pace, byHand }: { readonly pace: number; readonly byHand: boolean }) {
    this.pace = pace
    this.#byHand = byHand ? new Map() : null
  }

  later(id: string, act: () => void, recordedMs: number): void {
    if (this.#byHand) this.#byHand.set(id, act)
    else this.#timers.set(id, setTimeout(act, Math.max(1, recordedMs * this.pace)))
  }

  /** A short answer. By hand it comes by itself all the same, and at once where its share is less than a timer can wait. */
  answer(id: string, act: () => void, recordedMs: number): void {
    const ms = recordedMs * this.pace
    if (this.#byHand || ms < 1) act()
    else this.#timers.set(id, setTimeout(act, ms))
  }

  forget(id: string): void {
    clearTimeout(this.#timers.get(id))
    this.#timers.delete(id)
    this.#byHand?.delete(id)
  }

  forgetAll(): void {
    for (const id of [...this.#timers.keys(), ...(this.#byHand?.keys() ?? [])]) this.forget(id)
  }

  /** Everything that is worked on goes one step further. */
  goOn(): void {
    const due = [...(this.#byHand ?? [])]
    this.#byHand?.clear()
    for (const [, act] of due) act()
  }
}
