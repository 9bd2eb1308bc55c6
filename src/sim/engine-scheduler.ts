/** One generation in the simulated batch. `emit` is handed the tokens that have come due since the last time. */
export interface SimJob {
  promptTokens: number
  /** How many tokens it will make. */
  target: number
  emitted: number
  /** Set while the client does not read: time goes on, but nothing is written to it. */
  blocked: boolean
  arrivedAt: number
  admittedAt: number
  emit(from: number, upTo: number): void
  finished(): void
}

export interface SimPace {
  ttftMs: number
  tokensPerS: number
  maxNumSeqs: number
}

/** One timer drives all streams, so that a thousand of them cost little more than one. */
const tickMsMin = 2

/** Runs up to `maxNumSeqs` jobs at the same time, the rest in order of arrival. */
export class SimScheduler {
  readonly running = new Set<SimJob>()
  readonly waiting: SimJob[] = []
  /** While true no job makes progress: an engine that is alive and stuck. */
  stuck = false
  readonly #pace: SimPace
  readonly #changed: () => void
  #timer: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined

  constructor(pace: SimPace, changed: () => void) {
    this.#pace = pace
    this.#changed = changed
  }

  submit(job: SimJob) {
    this.waiting.push(job)
    this.#admit()
    this.#changed()
  }

  /** Takes a job out wherever it is; returns false when it had already left. */
  drop(job: SimJob): boolean {
    const at = this.waiting.indexOf(job)
    if (at >= 0) this.waiting.splice(at, 1)
    const found = this.running.delete(job) || at >= 0
    if (found) this.#admit()
    return found
  }

  /** Looks again at once: a client reads again, or the pace or the faults have changed. */
  wake() {
    if (this.#immediate || this.running.size === 0) return
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined
      this.#tick()
    })
  }

  stop() {
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
    this.#timer = undefined
    this.#immediate = undefined
    this.stuck = true
  }

  #admit() {
    const now = performance.now()
    let admitted = false
    while (this.running.size < this.#pace.maxNumSeqs && this.waiting.length > 0) {
      const job = this.waiting.shift()
      if (!job) break
      job.admittedAt = now
      this.running.add(job)
      admitted = true
    }
    if (admitted) this.wake()
  }

  #due(job: SimJob, now: number): number {
    const { ttftMs, tokensPerS } = this.#pace
    const decodingMs = now - job.admittedAt - ttftMs
    if (decodingMs < 0) return 0
    if (tokensPerS === 0) return job.target
    return Math.min(job.target, 1 + Math.floor((decodingMs * tokensPerS) / 1000))
  }

  #tick() {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.stuck) return
    const now = performance.now()
    let nextAt = Number.POSITIVE_INFINITY
    for (const job of [...this.running]) {
      if (job.blocked) continue
      const due = this.#due(job, now)
      if (due > job.emitted) {
        const from = job.emitted
        job.emitted = due
        job.emit(from, due)
      }
      // A fault may have dropped the job while it was emitting.
      if (!this.running.has(job)) continue
      if (job.emitted >= job.target && !job.blocked) {
        this.drop(job)
        job.finished()
        continue
      }
      const { ttftMs, tokensPerS } = this.#pace
      const perTokenMs = tokensPerS === 0 ? 0 : 1000 / tokensPerS
      nextAt = Math.min(nextAt, job.admittedAt + ttftMs + job.emitted * perTokenMs)
    }
    this.#changed()
    if (nextAt === Number.POSITIVE_INFINITY || this.stuck) return
    this.#timer = setTimeout(() => this.#tick(), Math.max(tickMsMin, nextAt - performance.now()))
  }
}
