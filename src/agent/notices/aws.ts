import { type Announced, type Asking, parsed, type Question, timeOf, unexpected } from './metadata.ts'

export const awsMetadataUrl = 'http://169.254.169.254'

// AWS recommends to look every 5 s; its own handler looks every 2 s and waits 2 s for an answer.
const waitMs = 2_000
const timeoutMs = 2_000
const tokenTtlS = 3_600
const renewBeforeMs = 15_000

const tokenPath = '/latest/api/token'
const actionPath = '/latest/meta-data/spot/instance-action'
const rebalancePath = '/latest/meta-data/events/recommendations/rebalance'

/** Spot notices of EC2 through IMDSv2. "Not found" is its way to say that there is none. */
export function awsQuestions(metadata: Asking, monotonicMs: () => number): readonly Question[] {
  const session = new Session(metadata, monotonicMs)
  return [
    {
      waitMs,
      async ask(): Promise<Announced | null> {
        const found = await session.read(actionPath)
        if (!found) return null
        const { action, time } = found
        if (typeof action !== 'string') throw new Error(`${actionPath} names no action`)
        return { kind: 'reclaim', action, at: timeOf(time) }
      },
    },
    {
      waitMs,
      async ask(): Promise<Announced | null> {
        const found = await session.read(rebalancePath)
        if (!found) return null
        if (typeof found['noticeTime'] !== 'string') throw new Error(`${rebalancePath} names no time`)
        return { kind: 'rebalance', action: 'rebalance', at: null }
      },
    },
  ]
}

class Session {
  readonly #metadata: Asking
  readonly #monotonicMs: () => number
  #token: { readonly text: string; readonly until: number } | null = null

  constructor(metadata: Asking, monotonicMs: () => number) {
    this.#metadata = metadata
    this.#monotonicMs = monotonicMs
  }

  async read(path: string): Promise<Readonly<Record<string, unknown>> | null> {
    for (let again = true; ; again = false) {
      const headers = { 'x-aws-ec2-metadata-token': await this.#freshToken() }
      const answer = await this.#metadata.ask({ path, headers, timeoutMs })
      if (answer.status === 404) return null
      if (answer.status === 200) return parsed(answer.text)
      // A token may end before its time, as after a machine was restored from an image.
      if (answer.status !== 401 || !again) throw unexpected(path, answer)
      this.#token = null
    }
  }

  async #freshToken(): Promise<string> {
    const now = this.#monotonicMs()
    if (this.#token && now < this.#token.until) return this.#token.text
    const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': String(tokenTtlS) }
    const answer = await this.#metadata.ask({ method: 'PUT', path: tokenPath, headers, timeoutMs })
    if (answer.status !== 200) throw unexpected(tokenPath, answer)
    this.#token = { text: answer.text, until: now + tokenTtlS * 1_000 - renewBeforeMs }
    return answer.text
  }
}
