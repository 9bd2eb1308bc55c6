import type { Clock } from '../../lib/clock.ts'
import type { HearStep } from '../cloud.ts'
import type { SkyApi } from './api.ts'
import type { StreamStands } from './event-watch.ts'
import { isBehind, isStep, type SkyStage, shownStep, stageOfStream } from './steps.ts'
import { StreamDecoder } from './stream.ts'

// Each stream holds a connection; launches beyond this are followed by the events of their clusters.
const mostStreams = 128
// Cut so often without a new step, a stream waits for the next look, which knows whether the request is still open.
const mostCuts = 5

interface Followed {
  readonly requestId: string
  readonly ended: AbortController
  readonly decoder: StreamDecoder
  reading: boolean
  step: string | null
  /** The furthest that it told of. */
  stage: SkyStage | null
  /** Monotonic ms: when it was followed, or said something last. */
  heardAt: number
}

/** Reads the streams of open launches and tells what each works on. Nothing is decided by what they say. */
export class StreamWatch {
  readonly #api: Pick<SkyApi, 'stream'>
  readonly #clock: Clock
  readonly #hear: HearStep
  readonly #followed = new Map<string, Followed>()
  #reading = 0

  constructor(api: Pick<SkyApi, 'stream'>, clock: Clock, hear: HearStep) {
    this.#api = api
    this.#clock = clock
    this.#hear = hear
  }

  /** Reads the stream of a request that is open; asked again, it goes on where the line was cut. */
  follow(name: string, requestId: string): void {
    let followed = this.#followed.get(name)
    if (followed?.requestId !== requestId) {
      this.forget(name)
      const ended = new AbortController()
      const heardAt = this.#clock.monotonicMs()
      followed = { requestId, ended, decoder: new StreamDecoder(), reading: false, step: null, stage: null, heardAt }
      this.#followed.set(name, followed)
    }
    if (!followed.reading && this.#reading < mostStreams) this.#readOn(name, followed)
  }

  standOf(name: string): StreamStands {
    const { reading = false, stage = null, heardAt = null } = this.#followed.get(name) ?? {}
    return { stage, heardAt: reading ? heardAt : null }
  }

  stepOf(name: string): string | null {
    return this.#followed.get(name)?.step ?? null
  }

  forget(name: string): void {
    this.#followed.get(name)?.ended.abort()
    this.#followed.delete(name)
  }

  close(): void {
    for (const name of [...this.#followed.keys()]) this.forget(name)
  }

  #readOn(name: string, followed: Followed): void {
    followed.reading = true
    this.#reading += 1
    const done = () => {
      followed.reading = false
      this.#reading -= 1
    }
    // One that cannot be read costs lines on a screen: the next look asks again while the request is open.
    this.#read(name, followed).then(done, done)
  }

  async #read(name: string, followed: Followed): Promise<void> {
    for (let cuts = 0; cuts < mostCuts; cuts++) {
      const before = followed.step
      if (await this.#readOnce(name, followed)) return
      if (followed.step !== before) cuts = 0
    }
  }

  /** False when the line was cut: the end of the stream is the end of the request, or what the server wants to be it. */
  async #readOnce(name: string, followed: Followed): Promise<boolean> {
    const { requestId, ended, decoder } = followed
    decoder.reconnect()
    try {
      for await (const chunk of this.#api.stream(requestId, ended.signal)) {
        for (const { kind, text, n } of decoder.push(chunk)) {
          if (kind === 'retry' || !isStep(text)) continue
          followed.step = shownStep(text)
          followed.heardAt = this.#clock.monotonicMs()
          const stage = stageOfStream(text)
          if (stage !== null && (followed.stage === null || isBehind(followed.stage, stage))) followed.stage = stage
          this.#hear({ name, n, text: followed.step })
        }
      }
      return true
    } catch (error) {
      if (error instanceof TypeError && !ended.signal.aborted) return false
      throw error
    }
  }
}
