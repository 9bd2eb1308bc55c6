import type { Clock } from '../lib/clock.ts'
import type { LeaseRecord, NodeDisk } from './node-disk.ts'

// Long enough for one heartbeat with its retries, short beside any lease that costs money.
const graceMs = 15_000

/**
 * What is left of a lease after a restart, in ms. A machine that slept, or whose clock was set, may find it run out
 * although the control plane is a call away: once, it gets the time for that call.
 */
export function leaseAtStart(
  record: LeaseRecord | null,
  leaseMs: number,
  now: number,
): { leftMs: number; graceTaken: boolean } {
  if (record === null) return { leftMs: leaseMs, graceTaken: false }
  const leftMs = Math.min(leaseMs, Math.max(0, record.renewedAt + record.leaseMs - now))
  if (leftMs > 0 || record.graceTaken) return { leftMs, graceTaken: record.graceTaken }
  return { leftMs: Math.min(graceMs, leaseMs), graceTaken: true }
}

/** The node's right to keep running. Any authenticated word renews it; nobody can make it longer than it is. */
export class Lease {
  readonly #disk: NodeDisk
  readonly #clock: Clock
  #leaseMs: number
  #endsAt: number
  #graceTaken: boolean
  #savedEndsAt = 0

  constructor(disk: NodeDisk, clock: Clock, leaseMs: number) {
    this.#disk = disk
    this.#clock = clock
    this.#leaseMs = leaseMs
    const { leftMs, graceTaken } = leaseAtStart(disk.lease(), leaseMs, clock.now())
    this.#endsAt = clock.monotonicMs() + leftMs
    this.#graceTaken = graceTaken
    this.save()
  }

  /** Called for every request, so it is one addition; `save` puts it on disk now and then. */
  renew(): void {
    this.#endsAt = this.#clock.monotonicMs() + this.#leaseMs
    this.#graceTaken = false
  }

  setLength(leaseMs: number): void {
    this.#leaseMs = leaseMs
  }

  leftMs(): number {
    return this.#endsAt - this.#clock.monotonicMs()
  }

  save(): void {
    if (this.#endsAt === this.#savedEndsAt) return
    this.#savedEndsAt = this.#endsAt
    const renewedAt = this.#clock.now() + this.leftMs() - this.#leaseMs
    this.#disk.saveLease({ renewedAt, leaseMs: this.#leaseMs, graceTaken: this.#graceTaken })
  }
}
