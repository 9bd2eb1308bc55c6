import { type FailureRecord, failureRecord } from '../../core/failure.ts'
import type { Clock } from '../../lib/clock.ts'
import type { HearStep } from '../cloud.ts'
import type { SkyApi } from './api.ts'
import { setUpCodes } from './run-script.ts'
import { shownStep } from './steps.ts'

const firstLookMs = 2_000
// While nothing of the agent is seen, people wait for the next line: often at first, and not for ever.
const oftenMs = 3_000
const seldomMs = 15_000
const oftenUntilMs = 60_000
const watchUntilMs = 30 * 60_000
// An agent speaks for itself; that its job ends all the same shows within minutes.
const afterAgentMs = [10_000, 30_000, 60_000, 120_000, 300_000] as const
// A queue had each job the moment that its launch succeeded. A guess, for servers that are slower.
const noJobMs = 10_000
const over = new Set(['SUCCEEDED', 'FAILED', 'FAILED_DRIVER', 'FAILED_SETUP', 'CANCELLED'])
const evidenceLines = 40
/** What the run script says last. */
const agentStarts = /^flightdeck: the agent of .+ starts$/
const wordsOf: Readonly<Record<string, string>> = {
  PENDING: 'The job waits for the machine',
  SETTING_UP: 'The job sets the machine up',
  RUNNING: 'The job runs',
}

interface Watched {
  readonly since: number
  /** When the agent's start was seen in the job's log. */
  agentAt: number | null
  /** Since when the queue has been read, and found empty. */
  emptySince: number | null
  nextAt: number | null
  looking: boolean
  state: string | null
  line: string | null
  failure: FailureRecord | null
}

/**
 * A launch succeeds when its job was submitted, long before the agent speaks. So the job and its last lines are looked
 * at until it does, and one that has ended is told with its last words. In the background: Slurm's queue was seen to
 * take seven seconds.
 */
export class JobWatch {
  readonly #api: Pick<SkyApi, 'jobStates' | 'lastLines'>
  readonly #clock: Clock
  readonly #hear: HearStep
  readonly #watched = new Map<string, Watched>()

  constructor(api: Pick<SkyApi, 'jobStates' | 'lastLines'>, clock: Clock, hear: HearStep) {
    this.#api = api
    this.#clock = clock
    this.#hear = hear
  }

  follow(name: string): void {
    if (this.#watched.has(name)) return
    const since = this.#clock.now()
    const seen = { agentAt: null, emptySince: null, looking: false, state: null, line: null, failure: null }
    this.#watched.set(name, { since, nextAt: since + firstLookMs, ...seen })
  }

  forget(name: string): void {
    this.#watched.delete(name)
  }

  /** Why the job of this machine is over, as far as we know by now; looks again where it is time to. */
  failureOf(name: string): FailureRecord | null {
    const watched = this.#watched.get(name)
    if (!watched) return null
    const due = watched.nextAt !== null && this.#clock.now() >= watched.nextAt
    if (due && !watched.looking && watched.failure === null) this.#look(name, watched)
    return watched.failure
  }

  #look(name: string, watched: Watched): void {
    watched.looking = true
    const done = () => {
      watched.looking = false
      watched.nextAt = nextLook(watched, this.#clock.now())
    }
    // A queue that cannot be read says nothing about the job; the time limit of the attempt stands behind this.
    this.#lookAt(name, watched).then(done, done)
  }

  async #lookAt(name: string, watched: Watched): Promise<void> {
    const [state] = await this.#api.jobStates(name)
    if (state === undefined) return this.#noJobFor(watched)
    watched.emptySince = null
    const lines = watched.agentAt === null || over.has(state) ? await this.#linesOf(name) : []
    if (over.has(state)) watched.failure = failureOfJob(state, lines)
    if (lines.some((line) => agentStarts.test(line))) watched.agentAt ??= this.#clock.now()
    this.#tell(name, watched, state, lines)
  }

  /** A machine was seen to be called up whose set-up never ran: nothing would ever join from it. */
  #noJobFor(watched: Watched): void {
    const now = this.#clock.now()
    watched.emptySince ??= now
    if (now - watched.emptySince < noJobMs) return
    const cause = 'SkyPilot calls the machine up, but no job was ever submitted to it: its set-up never ran.'
    watched.failure = failureRecord('node_setup_failed', cause)
  }

  #linesOf = async (name: string): Promise<string[]> => plainLines(await this.#api.lastLines(name, evidenceLines))

  #tell(name: string, watched: Watched, state: string, lines: readonly string[]): void {
    if (state !== watched.state) this.#hear({ name, n: null, text: wordsOf[state] ?? `The job is ${state}` })
    const line = lines.at(-1) ?? null
    if (line !== null && line !== watched.line) this.#hear({ name, n: null, text: shownStep(line) })
    watched.state = state
    watched.line = line
  }
}

function nextLook({ since, agentAt }: Watched, now: number): number | null {
  const elapsedMs = now - (agentAt ?? since)
  if (agentAt === null) {
    if (elapsedMs >= watchUntilMs) return null
    return now + (elapsedMs < oftenUntilMs ? oftenMs : seldomMs)
  }
  const waitMs = afterAgentMs.find((ms) => ms > elapsedMs)
  return waitMs === undefined ? null : agentAt + waitMs
}

/** The set-up's last word says which failure it is, where it is one that it knows. */
export function failureOfJob(state: string, lines: readonly string[]): FailureRecord {
  const evidence = { evidence: lines.join('\n').slice(-4_000) }
  const told = lines.findLast((line) => line.startsWith('flightdeck: '))?.slice('flightdeck: '.length)
  const over = `The job that brings the agent is over (${state})`
  const code = setUpCodes.find((one) => told?.startsWith(`${one}: `))
  if (told && code) return failureRecord(code, `${over}: ${told.slice(`${code}: `.length)}.`, evidence)
  return failureRecord('node_setup_failed', `${over}${told ? `: ${told}` : ''}.`, evidence)
}

/** Without the task's name before each, and each once where a program repeats itself. */
function plainLines(lines: readonly string[]): string[] {
  const plain = lines.map((line) => line.replace(/^\([^()]*pid=\d+\) ?/, '').trimEnd()).filter((line) => line !== '')
  return plain.filter((line, i) => line !== plain[i - 1])
}
