import type { NodeDisk } from './node-disk.ts'

// More lives than this within one outage of the control plane only repeat what the older ones tell.
const mostCandidates = 6

/**
 * Who this start of the agent is, and which earlier start proves that it goes on from the same disk. Normally that is
 * the one that was last accepted. If we died between being accepted and reading so, it is a later one; hence a list.
 */
export class Identity {
  readonly incarnation: string
  readonly #disk: NodeDisk
  readonly #candidates: readonly string[]
  #at = 0
  #accepted = false

  constructor(disk: NodeDisk, incarnation: string) {
    this.incarnation = incarnation
    this.#disk = disk
    this.#candidates = disk.incarnations()
    const [accepted, ...tried] = this.#candidates
    const kept = [accepted, ...tried.slice(2 - mostCandidates), incarnation].filter((entry) => entry !== undefined)
    disk.saveIncarnations(kept)
  }

  get previous(): string | null {
    return this.#candidates[this.#at] ?? null
  }

  accepted(): void {
    if (this.#accepted) return
    this.#accepted = true
    this.#disk.saveIncarnations([this.incarnation])
  }

  /** A message that named this predecessor was refused. True when there is another one to name. */
  refused(named: string | null): boolean {
    if (named !== this.previous) return true
    const hasMore = this.#at + 1 < this.#candidates.length
    this.#at = hasMore ? this.#at + 1 : 0
    return hasMore
  }
}
