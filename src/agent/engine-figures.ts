import { callEngine } from './engine-call.ts'

/** What engines call the requests that wait in them, and the share of their KV cache that is in use. */
const waitingNames = ['vllm:num_requests_waiting', 'sglang:num_queue_reqs', 'llamacpp:requests_deferred']
const kvShareNames = ['vllm:kv_cache_usage_perc', 'sglang:token_usage', 'llamacpp:kv_cache_usage_ratio']

export interface Figures {
  readonly waiting: number | null
  readonly kvPercent: number | null
}

const nothing: Figures = { waiting: null, kvPercent: null }

// The engine renders its page in some ms; one that does not is asked again with the next heartbeat.
const lookLimitMs = 2_000
// Three heartbeats by default; after that a figure says nothing of now.
const freshMs = 30_000

/** The engine's own figures as it last told them. Nobody waits for a look: an engine that hangs holds nothing up. */
export class EngineFigures {
  readonly #port: () => number | null
  readonly #now: () => number
  #figures = nothing
  #lookedAt = Number.NEGATIVE_INFINITY
  #looking = false

  constructor(port: () => number | null, now: () => number) {
    this.#port = port
    this.#now = now
  }

  lately(): Figures {
    return this.#now() - this.#lookedAt < freshMs ? this.#figures : nothing
  }

  async look(): Promise<void> {
    const port = this.#port()
    if (port === null || this.#looking) return
    this.#looking = true
    const page = await callEngine(port, 'GET', '/metrics', lookLimitMs).catch(() => null)
    this.#looking = false
    if (page?.status !== 200) return
    this.#figures = readFigures(page.text)
    this.#lookedAt = this.#now()
  }
}

/** Of a page in Prometheus' text format; an engine of several parts has a line for each. */
export function readFigures(text: string): Figures {
  const waiting = valuesOf(text, waitingNames)
  const shares = valuesOf(text, kvShareNames)
  const share = shares.length > 0 ? shares.reduce((sum, value) => sum + value, 0) / shares.length : null
  return {
    waiting: waiting.length > 0 ? Math.round(waiting.reduce((sum, value) => sum + value, 0)) : null,
    kvPercent: share === null ? null : Math.min(100, share * 100),
  }
}

function valuesOf(text: string, names: readonly string[]): number[] {
  return text
    .split('\n')
    .filter((line) => names.some((name) => line.startsWith(`${name}{`) || line.startsWith(`${name} `)))
    .map((line) => Number(/ (\S+)$/.exec(line.trimEnd())?.[1]))
    .filter((value) => Number.isFinite(value) && value >= 0)
}
