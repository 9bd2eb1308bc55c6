import type { Clock } from '../../lib/clock.ts'
import type { HearStep } from '../cloud.ts'
import type { SkyApi } from './api.ts'
import type { SkyCluster } from './api-answers.ts'
import { isBehind, type SkyStage, stageOfEvent } from './steps.ts'

// Behind the places of what a stream says, and before those of steps that have none: the same in every process.
const firstPlace = 500_000
// A stream tells most things itself, up to 2 s after the event was written; only one that is silent for longer is helped.
const quietMs = 10_000
// After a question that was not answered.
const askAgainMs = 10_000

/** Where the stream of a launch stands, and when it said something last (monotonic ms); null: it is not being read. */
export interface StreamStands {
  readonly stage: SkyStage | null
  readonly heardAt: number | null
}

interface Watched {
  readonly hash: string
  /** Events that were told, or need not be. */
  known: number
  /** The row's event when they were read last. */
  last: string | null
  step: string | null
  asking: boolean
  askAgainAt: number
}

/**
 * Tells what happened to the cluster of an open launch where its stream does not. A row names its latest event, so the
 * server is asked for the list only when there is something new that the stream has not said.
 */
export class EventWatch {
  readonly #api: Pick<SkyApi, 'clusterEvents'>
  readonly #clock: Clock
  readonly #hear: HearStep
  readonly #watched = new Map<string, Watched>()

  constructor(api: Pick<SkyApi, 'clusterEvents'>, clock: Clock, hear: HearStep) {
    this.#api = api
    this.#clock = clock
    this.#hear = hear
  }

  forget(name: string): void {
    this.#watched.delete(name)
  }

  /** What was told last, as long as the stream has not got there. */
  stepOf(name: string, { stage }: StreamStands): string | null {
    const step = this.#watched.get(name)?.step ?? null
    return step !== null && isNews(step, stage) ? step : null
  }

  /** Takes what a look listed. */
  follow({ name, hash, lastEvent }: SkyCluster, stream: StreamStands): void {
    if (hash === null || lastEvent === null) return
    const now = this.#clock.monotonicMs()
    const known = this.#watched.get(name)
    const fresh = { hash, known: 0, last: null, step: null, asking: false, askAgainAt: now }
    const watched = known?.hash === hash ? known : fresh
    this.#watched.set(name, watched)
    if (watched.asking || now < watched.askAgainAt || lastEvent === watched.last) return
    if (stream.heardAt !== null && now - stream.heardAt < quietMs) return
    if (!isNews(lastEvent, stream.stage)) return
    watched.asking = true
    watched.askAgainAt = now + askAgainMs
    void this.#tell(name, watched, lastEvent, stream.stage)
  }

  async #tell(name: string, watched: Watched, lastEvent: string, stage: SkyStage | null): Promise<void> {
    // A server that does not answer is asked again, while the launch is open.
    const events = await this.#api.clusterEvents(watched.hash).catch(() => null)
    watched.asking = false
    if (events === null || this.#watched.get(name) !== watched) return
    for (const [i, text] of events.entries()) {
      if (i < watched.known || !isNews(text, stage)) continue
      watched.step = text
      this.#hear({ name, n: firstPlace + i, text })
    }
    Object.assign(watched, { known: events.length, last: lastEvent, askAgainAt: this.#clock.monotonicMs() })
  }
}

/** What has no place among the stages is told as it is: a place that failed, or what nobody has seen before. */
function isNews(event: string, stage: SkyStage | null): boolean {
  const ofEvent = stageOfEvent(event)
  return ofEvent === null || stage === null || isBehind(stage, ofEvent)
}
