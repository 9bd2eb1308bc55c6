import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { type Claim, claimDue, countRows, finishClaim, recordPass } from '../store/claims.ts'
import type { Db } from '../store/database.ts'
import type { Continuity } from './continuity.ts'
import { endGap } from './end-gap.ts'

export interface PassResult {
  readonly moved: boolean
  /** When this row is to be looked at again without a nudge; null: only when nudged. */
  readonly nextDueAt: number | null
  /** Nothing is due of the row then: the look is a floor under lost nudges, and rarer the more rows there are. */
  readonly rests?: boolean
}

export interface Loop {
  readonly name: string
  /** Shown to the operator: without a pass for three times this long, the loop is late. */
  readonly everyMs: number
  readonly parallel: number
  readonly holdMs: number
  /** False for loops that only watch: they go on while automation is paused. */
  readonly acts: boolean
  pass(claim: Claim): Promise<PassResult>
}

export interface DriverDeps {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  readonly server: string
  /** The clouds that this server reaches. */
  readonly realms: readonly string[]
  readonly continuity: Continuity
  readonly observe?: (loop: string, tookMs: number, moved: boolean, failed: boolean) => void
}

// The floor under lost nudges, and the wait after an error: a database that is away is asked about once a second.
const floorMs = 1_000
const afterErrorMs = 1_000
const retryRowMs = 2_000
const shortestMs = 5
// Up to here every row that rests is looked at as often as its loop says; of more, as many in a second as of these.
const calmRows = 500
const countEveryMs = 10_000

/** Runs one loop until stopped: claims due rows, passes over each, sleeps until the next is due or a nudge comes. */
export class Driver {
  readonly loop: string
  readonly #deps: DriverDeps
  readonly #loop: Loop
  readonly #running = new Set<Promise<void>>()
  readonly #done: Promise<void>
  #stopped = false
  #isCutOff = false
  #nudged = false
  #wake: (() => void) | null = null
  #nextDueAt: number | null = null
  #recordedAt = Number.NEGATIVE_INFINITY
  #rows = 0
  #countedAt = Number.NEGATIVE_INFINITY

  constructor(deps: DriverDeps, loop: Loop) {
    this.loop = loop.name
    this.#deps = deps
    this.#loop = loop
    this.#done = this.#run()
  }

  nudge(): void {
    this.#nudged = true
    this.#wake?.()
  }

  /** Ends after the passes that are under way; what they hold is finished or runs out. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.nudge()
    await this.#done
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const waitMs = await this.#claimMore().catch((error) => this.#cutOff(error))
      if (!this.#nudged && !this.#stopped) await this.#sleep(waitMs)
    }
    await Promise.allSettled(this.#running)
  }

  /** The database is away: said once, not every second of an outage. */
  #cutOff(error: unknown): number {
    if (!this.#isCutOff)
      this.#deps.log.warn({ loop: this.loop, err: error }, 'the loop cannot claim rows; it keeps trying')
    this.#isCutOff = true
    return afterErrorMs
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#wake = null
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#wake = done
    })
  }

  /** Starts a pass for each row that is due, as far as there is room. Returns how long nothing more is due. */
  async #claimMore(): Promise<number> {
    const { db, clock, server, realms } = this.#deps
    this.#nudged = false
    if (this.#nextDueAt !== null && this.#nextDueAt <= clock.now()) this.#nextDueAt = null
    const free = this.#loop.parallel - this.#running.size
    const { acts } = this.#loop
    if (free > 0) {
      const claims = await claimDue(db, this.loop, free, clock.now(), this.#loop.holdMs, {
        holder: server,
        realms,
        acts,
      })
      if (await endGap(this.#deps))
        this.#deps.log.warn(
          { loop: this.loop },
          'there was a gap, or the clock jumped: nothing is released until all were heard',
        )
      if (this.#isCutOff) this.#deps.log.info({ loop: this.loop }, 'the loop claims rows again')
      this.#isCutOff = false
      for (const claim of claims) this.#begin(claim)
    }
    const dueInMs = this.#nextDueAt === null ? floorMs : Math.max(shortestMs, this.#nextDueAt - clock.now())
    return Math.min(floorMs, dueInMs)
  }

  #begin(claim: Claim): void {
    const pass = this.#pass(claim)
      .catch((error) => {
        this.#deps.log.warn(
          { loop: this.loop, err: error },
          'the end of a pass could not be written; its claim runs out',
        )
      })
      .finally(() => {
        this.#running.delete(pass)
        this.nudge()
      })
    this.#running.add(pass)
  }

  async #pass(claim: Claim): Promise<void> {
    const { db, clock, log, observe } = this.#deps
    const begun = clock.monotonicMs()
    let result: PassResult = { moved: false, nextDueAt: clock.now() + retryRowMs }
    let problem: string | null = null
    try {
      result = await this.#loop.pass(claim)
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error)
      log.warn({ loop: this.loop, row: claim.rowId, err: error }, 'a pass failed and will be made again')
    }
    const tookMs = clock.monotonicMs() - begun
    observe?.(this.loop, tookMs, result.moved, problem !== null)
    const nextDueAt = result.rests ? await this.#stretched(result.nextDueAt) : result.nextDueAt
    await finishClaim(db, claim, nextDueAt)
    if (nextDueAt !== null && nextDueAt < (this.#nextDueAt ?? Number.POSITIVE_INFINITY)) this.#nextDueAt = nextDueAt
    await this.#record(tookMs, result.moved, problem)
  }

  /** The same time for a small fleet, later for a big one. */
  async #stretched(nextDueAt: number | null): Promise<number | null> {
    const { db, clock } = this.#deps
    if (nextDueAt === null) return null
    if (clock.monotonicMs() - this.#countedAt >= countEveryMs) {
      this.#countedAt = clock.monotonicMs()
      this.#rows = await countRows(db, this.loop)
    }
    const now = clock.now()
    return now + (nextDueAt - now) * Math.max(1, this.#rows / calmRows)
  }

  /** At most one row a second for each loop: the operator wants to know that it lives, not every beat. */
  async #record(tookMs: number, moved: boolean, error: string | null): Promise<void> {
    const { db, clock, server } = this.#deps
    if (error === null && clock.monotonicMs() - this.#recordedAt < floorMs) return
    this.#recordedAt = clock.monotonicMs()
    const { everyMs } = this.#loop
    await recordPass(db, { server, loop: this.loop, at: clock.now(), tookMs, moved: moved ? 1 : 0, everyMs, error })
  }
}
