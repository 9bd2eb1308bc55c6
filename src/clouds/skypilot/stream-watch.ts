import type { SkyApi } from './api.ts'
import { stageOfStream } from './steps.ts'
import { StreamDecoder } from './stream.ts'

// Each stream holds a connection; launches beyond this are followed by the events of their clusters.
const mostStreams = 32
const mostReconnects = 5

interface Followed {
  readonly requestId: string
  readonly ended: AbortController
  step: string | null
}

/** Reads the streams of open launches, to know what each works on now. Nothing is decided by what they say. */
export class StreamWatch {
  readonly #api: Pick<SkyApi, 'stream'>
  readonly #followed = new Map<string, Followed>()

  constructor(api: Pick<SkyApi, 'stream'>) {
    this.#api = api
  }

  /** Begins to read the request's stream; asking again for the same one changes nothing. */
  follow(name: string, requestId: string): void {
    if (this.#followed.get(name)?.requestId === requestId || this.#followed.size >= mostStreams) return
    this.forget(name)
    const followed: Followed = { requestId, ended: new AbortController(), step: null }
    this.#followed.set(name, followed)
    // A stream that cannot be read costs a line on a screen, and the events of the cluster say the same later.
    this.#read(followed).catch(() => followed.ended.abort())
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

  async #read(followed: Followed): Promise<void> {
    const decoder = new StreamDecoder()
    for (let again = true, tries = 0; again && tries <= mostReconnects; tries++) {
      again = await this.#readOnce(followed, decoder)
      decoder.reconnect()
    }
  }

  /** True when the server cut the line, or asked to be called again. */
  async #readOnce(followed: Followed, decoder: StreamDecoder): Promise<boolean> {
    let again = false
    try {
      for await (const chunk of this.#api.stream(followed.requestId, followed.ended.signal)) {
        for (const { kind, text } of decoder.push(chunk)) {
          if (kind === 'retry') again = true
          else if (stageOfStream(text) !== null) followed.step = text
        }
      }
      return again
    } catch (error) {
      if (followed.ended.signal.aborted) return false
      if (error instanceof TypeError) return true
      throw error
    }
  }
}
