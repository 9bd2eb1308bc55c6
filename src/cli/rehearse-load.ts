import { quietPause } from './live-feed.ts'

/** Where the load goes. */
interface Target {
  readonly url: string
  readonly key: string
  readonly model: string
}

interface Done {
  /** Monotonic ms. */
  readonly at: number
  /** What went wrong, or null. */
  readonly wrong: string | null
}

/** How many clients ask at the same time. */
export interface Clients {
  readonly plain: number
  readonly streams: number
}

// Whoever was refused does not ask again in the same moment, and a fleet that is down is not asked a thousand times.
const afterFailureMs = 200

/** Clients that ask again as soon as they are answered: some in one piece, some for streams of 80 tokens. */
export class Load {
  readonly plain: Done[] = []
  readonly streams: Done[] = []
  readonly #target: Target
  readonly #loops: Promise<void>[]
  readonly #signal: AbortSignal
  #stopped = false

  constructor(target: Target, { plain, streams }: Clients, signal: AbortSignal) {
    this.#target = target
    this.#signal = signal
    this.#loops = [
      ...Array.from({ length: plain }, () => this.#loop(this.plain, () => this.#ask())),
      ...Array.from({ length: streams }, () => this.#loop(this.streams, () => this.#stream())),
    ]
  }

  get done(): number {
    return this.plain.length + this.streams.length
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  /** What ended since then, what of it failed, and each kind of failure once. */
  since(from: number): { requests: number; failed: number; broken: number; why: string[] } {
    const ended = [...this.plain, ...this.streams].filter(({ at }) => at >= from)
    const wrong = (done: readonly Done[]) => done.filter(({ at, wrong }) => at >= from && wrong !== null).length
    const why = new Set(ended.flatMap(({ wrong }) => wrong ?? []))
    return { requests: ended.length, failed: wrong(this.plain), broken: wrong(this.streams), why: [...why] }
  }

  async #loop(done: Done[], once: () => Promise<string | null>): Promise<void> {
    while (!this.#stopped && !this.#signal.aborted) {
      const wrong = await once().catch((error: unknown) => `connection: ${String(error)}`)
      if (this.#signal.aborted) return
      done.push({ at: performance.now(), wrong })
      if (wrong !== null) await quietPause(afterFailureMs, this.#signal)
    }
  }

  async #ask(): Promise<string | null> {
    const answer = await this.#post({ max_tokens: 8 })
    const text = await answer.text()
    return answer.status === 200 ? null : `plain: ${answer.status} ${text.slice(0, 200)}`
  }

  async #stream(): Promise<string | null> {
    const answer = await this.#post({ max_tokens: 80, stream: true })
    const text = await answer.text()
    if (answer.status !== 200) return `stream: ${answer.status} ${text.slice(0, 200)}`
    return text.trimEnd().endsWith('data: [DONE]') && !text.includes('"error"') ? null : `stream: ${text.slice(-200)}`
  }

  #post(body: object): Promise<Response> {
    const { url, key, model } = this.#target
    return fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      signal: this.#signal,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], ...body }),
    })
  }
}
