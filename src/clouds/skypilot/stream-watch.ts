import type { HearStep } from '../cloud.ts'
import type { SkyApi } from './api.ts'
import { isStep, shownStep } from './steps.ts'
import { StreamDecoder } from './stream.ts'

// Each stream holds a connection; launches beyond this are followed by the events of their clusters.
const mostStreams = 128

interface Followed {
  readonly requestId: string
  readonly ended: AbortController
  readonly decoder: StreamDecoder
  reading: boolean
  step: string | null
}

/** Reads the streams of open launches and tells what each works on. Nothing is decided by what they say. */
export class StreamWatch {
  readonly #api: Pick<SkyApi, 'stream'>
  readonly #hear: HearStep
  readonly #followed = new Map<string, Followed>()

  constructor(api: Pick<SkyApi, 'stream'>, hear: HearStep) {
    this.#api = api
    this.#hear = hear
  }

  /** Reads the stream of a request that is open; asked again, it goes on where the line was cut. */
  follow(name: string, requestId: string): void {
    let followed = this.#followed.get(name)
    if (followed?.requestId !== requestId) {
      if (!followed && this.#followed.size >= mostStreams) return
      this.forget(name)
      const ended = new AbortController()
      followed = { requestId, ended, decoder: new StreamDecoder(), reading: false, step: null }
      this.#followed.set(name, followed)
    }
    if (!followed.reading) this.#readOn(name, followed)
  }

  isReading(name: string): boolean {
    return this.#followed.get(name)?.reading ?? false
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
    const done = () => {
      followed.reading = false
    }
    // A line that was cut, and one that was never there: the next look asks again while the request is open.
    this.#read(name, followed).then(done, done)
  }

  async #read(name: string, followed: Followed): Promise<void> {
    const { requestId, ended, decoder } = followed
    decoder.reconnect()
    for await (const chunk of this.#api.stream(requestId, ended.signal)) {
      for (const { kind, text, n } of decoder.push(chunk)) {
        if (kind === 'retry' || !isStep(text)) continue
        followed.step = shownStep(text)
        this.#hear({ name, n, text: followed.step })
      }
    }
  }
}
