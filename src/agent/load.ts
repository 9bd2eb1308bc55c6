/** Exact counts of the requests that pass through. `busyMs` is time with at least one in flight. */
export class Load {
  readonly #now: () => number
  #busyMs: number
  #busySince = 0
  inFlight = 0
  requests: number

  /** Goes on from the counts before a restart, so that what is billed as idle never grows by one. */
  constructor(now: () => number, before: { requests: number; busyMs: number }) {
    this.#now = now
    this.#busyMs = before.busyMs
    this.requests = before.requests
  }

  begin(): void {
    if (this.inFlight === 0) this.#busySince = this.#now()
    this.inFlight += 1
    this.requests += 1
  }

  end(): void {
    this.inFlight -= 1
    if (this.inFlight === 0) this.#busyMs += this.#now() - this.#busySince
  }

  counts() {
    return { inFlight: this.inFlight, busyMs: this.busyMs(), requests: this.requests }
  }

  busyMs(): number {
    const open = this.inFlight > 0 ? this.#now() - this.#busySince : 0
    return Math.round(this.#busyMs + open)
  }
}
