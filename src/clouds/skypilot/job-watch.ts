import { type FailureRecord, failureRecord } from '../../core/failure.ts'
import type { Clock } from '../../lib/clock.ts'
import type { SkyApi } from './api.ts'

// A job that cannot fetch or start the agent ends within seconds to minutes; one that ran for so long has an agent.
const lookAfterMs = [2_000, 10_000, 30_000, 60_000, 120_000, 300_000] as const
const over = new Set(['SUCCEEDED', 'FAILED', 'FAILED_DRIVER', 'FAILED_SETUP', 'CANCELLED'])
const evidenceLines = 40

interface Watched {
  readonly since: number
  looks: number
  looking: boolean
  failure: FailureRecord | null
}

/**
 * A launch succeeds when its job was submitted, long before the agent speaks. So the job is looked at a few times, and
 * one that has ended is told with its last words. In the background: Slurm's queue was seen to take seven seconds.
 */
export class JobWatch {
  readonly #api: Pick<SkyApi, 'jobStates' | 'lastLines'>
  readonly #clock: Clock
  readonly #watched = new Map<string, Watched>()

  constructor(api: Pick<SkyApi, 'jobStates' | 'lastLines'>, clock: Clock) {
    this.#api = api
    this.#clock = clock
  }

  follow(name: string): void {
    if (this.#watched.has(name)) return
    this.#watched.set(name, { since: this.#clock.now(), looks: 0, looking: false, failure: null })
  }

  forget(name: string): void {
    this.#watched.delete(name)
  }

  /** Why the job of this machine is over, as far as we know by now; looks again where it is time to. */
  failureOf(name: string): FailureRecord | null {
    const watched = this.#watched.get(name)
    if (!watched) return null
    const dueMs = lookAfterMs[watched.looks]
    const due = dueMs !== undefined && this.#clock.now() - watched.since >= dueMs
    if (due && !watched.looking && watched.failure === null) this.#look(name, watched)
    return watched.failure
  }

  #look(name: string, watched: Watched): void {
    watched.looking = true
    watched.looks += 1
    const done = (failure: FailureRecord | null) => {
      watched.failure = failure
      watched.looking = false
    }
    // A queue that cannot be read says nothing about the job; the time limit of the attempt stands behind this.
    this.#endOfJob(name).then(done, () => done(null))
  }

  async #endOfJob(name: string): Promise<FailureRecord | null> {
    const states = await this.#api.jobStates(name)
    const latest = states[0]
    if (latest === undefined || !over.has(latest)) return null
    const lines = plainLines(await this.#api.lastLines(name, evidenceLines))
    const told = lines.findLast((line) => line.startsWith('flightdeck: '))?.slice('flightdeck: '.length)
    const cause = `The job that brings the agent is over (${latest})${told ? `: ${told}` : ''}.`
    return failureRecord('node_setup_failed', cause, { evidence: lines.join('\n').slice(-4_000) })
  }
}

/** Without the task's name before each, and each once where a program repeats itself. */
function plainLines(lines: readonly string[]): string[] {
  const plain = lines.map((line) => line.replace(/^\([^()]*pid=\d+\) ?/, '').trimEnd()).filter((line) => line !== '')
  return plain.filter((line, i) => line !== plain[i - 1])
}
