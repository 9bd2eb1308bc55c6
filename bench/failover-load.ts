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

const plainLoops = 12
const streamLoops = 8

/** Clients that ask again as soon as they are answered: some in one piece, some for streams of two seconds. */
export class Load {
  readonly plain: Done[] = []
  readonly streams: Done[] = []
  readonly #target: Target
  readonly #loops: Promise<void>[]
  #stopped = false

  constructor(target: Target) {
    this.#target = target
    this.#loops = [
      ...Array.from({ length: plainLoops }, () => this.#loop(this.plain, () => this.#ask())),
      ...Array.from({ length: streamLoops }, () => this.#loop(this.streams, () => this.#stream())),
    ]
  }

  get done(): number {
    return this.plain.length + this.streams.length
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  /** What failed of what ended since then; each kind of failure is printed once. */
  since(from: number): { failed: number; broken: number } {
    const wrong = (done: readonly Done[]) => done.filter(({ at, wrong }) => at >= from && wrong !== null)
    const [failed, broken] = [wrong(this.plain), wrong(this.streams)]
    for (const why of new Set([...failed, ...broken].map(({ wrong }) => wrong))) console.log(`  lost: ${why}`)
    return { failed: failed.length, broken: broken.length }
  }

  async #loop(done: Done[], once: () => Promise<string | null>): Promise<void> {
    while (!this.#stopped) {
      const wrong = await once().catch((error: unknown) => `connection: ${String(error)}`)
      done.push({ at: performance.now(), wrong })
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
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], ...body }),
    })
  }
}
