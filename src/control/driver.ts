// The loops that make it so: look, decide, save, fulfil.
// Deliberately absent: events as input, and loops that know of each other; they meet in rows only.
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { type Claim, claimDue, finishClaim, recordPass } from '../store/claims.ts'
import type { Db } from '../store/database.ts'

export interface PassResult {
  readonly moved: boolean
  /** When this row is to be looked at again without a nudge; null: only when nudged. */
  readonly nextDueAt: number | null
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
  readonly isPaused: () => boolean
  readonly observe?: (loop: string, tookMs: number, moved: boolean, failed: boolean) => void
}

export interface Driven {
  readonly loop: string
  nudge(): void
  stop(): Promise<void>
}

// The floor under lost nudges, and the wait after an error: a database that is away is asked about once a second.
const floorMs = 1_000
const afterErrorMs = 1_000
const retryRowMs = 2_000

/** Runs one loop until stopped: claims due rows, passes over each, sleeps until the next is due or a nudge comes. */
export function drive(deps: DriverDeps, loop: Loop): Driven {
  const { db, clock, log } = deps
  let stopped = false
  let wake: (() => void) | null = null
  let nudged = false
  let nextDueAt: number | null = null
  let recordedAt = 0
  const running = new Set<Promise<void>>()

  async function onePass(claim: Claim): Promise<void> {
    const begun = clock.monotonicMs()
    let next: number | null = clock.now() + retryRowMs
    let moved = false
    let problem: string | null = null
    try {
      const result = await loop.pass(claim)
      next = result.nextDueAt
      moved = result.moved
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error)
      log.warn({ loop: loop.name, row: claim.rowId, err: error }, 'a pass failed and will be made again')
    }
    const tookMs = clock.monotonicMs() - begun
    deps.observe?.(loop.name, tookMs, moved, problem !== null)
    await finishClaim(db, claim, next)
    if (next !== null && (nextDueAt === null || next < nextDueAt)) nextDueAt = next
    await record(tookMs, moved, problem)
  }

  async function record(tookMs: number, moved: boolean, error: string | null): Promise<void> {
    if (error === null && clock.monotonicMs() - recordedAt < floorMs) return
    recordedAt = clock.monotonicMs()
    const { server } = deps
    await recordPass(db, {
      server,
      loop: loop.name,
      at: clock.now(),
      tookMs,
      moved: moved ? 1 : 0,
      everyMs: loop.everyMs,
      error,
    })
  }

  async function claimMore(): Promise<void> {
    nudged = false
    nextDueAt = null
    const free = loop.parallel - running.size
    if (free <= 0 || (loop.acts && deps.isPaused())) return
    const claims = await claimDue(db, loop.name, free, clock.now(), loop.holdMs, deps.server)
    for (const claim of claims) {
      const pass = onePass(claim)
        .catch((error) =>
          log.warn({ loop: loop.name, err: error }, 'the end of a pass could not be written; its claim runs out'),
        )
        .finally(() => {
          running.delete(pass)
          nudge()
        })
      running.add(pass)
    }
  }

  async function run(): Promise<void> {
    while (!stopped) {
      const waitMs = await claimMore().then(
        () => Math.min(floorMs, nextDueAt === null ? floorMs : Math.max(5, nextDueAt - clock.now())),
        (error) => {
          log.warn({ loop: loop.name, err: error }, 'the loop could not claim rows')
          return afterErrorMs
        },
      )
      if (nudged || stopped) continue
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      wake = null
    }
    await Promise.allSettled(running)
  }

  function nudge(): void {
    nudged = true
    wake?.()
  }

  const done = run()
  return {
    loop: loop.name,
    nudge,
    async stop() {
      stopped = true
      nudge()
      await done
    },
  }
}
