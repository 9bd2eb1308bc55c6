import type { SimScheduler } from './engine-scheduler.ts'

/** What the engine has done so far; tests wait on it, `/metrics` prints it. */
export interface SimCounts {
  running: number
  waiting: number
  /** Generations that ended, by the reason the real engine gives. */
  stop: number
  length: number
  abort: number
  error: number
  promptTokens: number
  generationTokens: number
  /** HTTP requests of every kind that were accepted. */
  requests: number
}

const small = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
const seconds = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680]
const firstToken = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
]
const perToken = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80]

const histogramTable = {
  'vllm:request_prompt_tokens': ['Number of prefill tokens processed.', small],
  'vllm:request_generation_tokens': ['Number of generation tokens processed.', small],
  'vllm:request_params_max_tokens': ['Histogram of the max_tokens request parameter.', small],
  'vllm:time_to_first_token_seconds': ['Histogram of time to first token in seconds.', firstToken],
  'vllm:request_time_per_output_token_seconds': ['Histogram of time_per_output_token_seconds per request.', perToken],
  'vllm:inter_token_latency_seconds': ['Histogram of inter-token latency in seconds.', perToken],
  'vllm:e2e_request_latency_seconds': ['Histogram of e2e request latency in seconds.', seconds],
  'vllm:request_queue_time_seconds': ['Histogram of time spent in WAITING phase for request.', seconds],
  'vllm:request_inference_time_seconds': ['Histogram of time spent in RUNNING phase for request.', seconds],
  'vllm:request_prefill_time_seconds': ['Histogram of time spent in PREFILL phase for request.', seconds],
  'vllm:request_decode_time_seconds': ['Histogram of time spent in DECODE phase for request.', seconds],
} as const satisfies Record<string, readonly [string, readonly number[]]>

type HistogramName = keyof typeof histogramTable

interface Histogram {
  counts: number[]
  count: number
  sum: number
}

/** Times of one generation on the monotonic clock, in milliseconds. */
export interface GenerationTimes {
  arrivedAt: number
  admittedAt: number
  firstTokenAt: number
  endedAt: number
}

const number = (value: number) => (Number.isInteger(value) ? value.toFixed(1) : String(value))

export class SimMetrics {
  readonly ended = { stop: 0, length: 0, abort: 0, error: 0 }
  promptTokens = 0
  generationTokens = 0
  requests = 0
  readonly #byHandler = new Map<string, number>()
  readonly #histograms = new Map<HistogramName, Histogram>()

  observe(name: HistogramName, value: number, times = 1) {
    const bounds = histogramTable[name][1]
    let histogram = this.#histograms.get(name)
    if (!histogram) {
      histogram = { counts: bounds.map(() => 0), count: 0, sum: 0 }
      this.#histograms.set(name, histogram)
    }
    const at = bounds.findIndex((bound) => value <= bound)
    if (at >= 0) histogram.counts[at] = (histogram.counts[at] ?? 0) + times
    histogram.count += times
    histogram.sum += value * times
  }

  /** An aborted generation counts as ended, but the real engine leaves it out of the latency histograms too. */
  generationEnded(tokens: { prompt: number; made: number; asked: number }, times: GenerationTimes) {
    const took = (from: number, to: number) => Math.max(0, to - from) / 1000
    const decode = took(times.firstTokenAt, times.endedAt)
    this.observe('vllm:request_prompt_tokens', tokens.prompt)
    this.observe('vllm:request_generation_tokens', tokens.made)
    this.observe('vllm:request_params_max_tokens', tokens.asked)
    this.observe('vllm:time_to_first_token_seconds', took(times.arrivedAt, times.firstTokenAt))
    this.observe('vllm:e2e_request_latency_seconds', took(times.arrivedAt, times.endedAt))
    this.observe('vllm:request_queue_time_seconds', took(times.arrivedAt, times.admittedAt))
    this.observe('vllm:request_inference_time_seconds', took(times.admittedAt, times.endedAt))
    this.observe('vllm:request_prefill_time_seconds', took(times.admittedAt, times.firstTokenAt))
    this.observe('vllm:request_decode_time_seconds', decode)
    const gaps = tokens.made - 1
    this.observe('vllm:request_time_per_output_token_seconds', gaps > 0 ? decode / gaps : 0)
    if (gaps > 0) this.observe('vllm:inter_token_latency_seconds', decode / gaps, gaps)
  }

  answered(handler: string, method: string, status: number) {
    const key = `handler="${handler}",method="${method}",status="${Math.floor(status / 100)}xx"`
    this.#byHandler.set(key, (this.#byHandler.get(key) ?? 0) + 1)
  }

  counts(scheduler: SimScheduler): SimCounts {
    return {
      running: scheduler.running.size,
      waiting: scheduler.waiting.length,
      ...this.ended,
      promptTokens: this.promptTokens,
      generationTokens: this.generationTokens,
      requests: this.requests,
    }
  }

  /** The page as Prometheus reads it. `cacheTokens` is the size of the pretended KV cache. */
  page(model: string, scheduler: SimScheduler, cacheTokens: number): string {
    const lines: string[] = []
    const engine = `engine="0"`
    const label = `${engine},model_name="${model}"`
    const put = (kind: 'gauge' | 'counter', name: string, help: string, rows: [string, number][]) => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`)
      for (const [labels, value] of rows) lines.push(`${name}{${labels}} ${number(value)}`)
    }
    let cached = 0
    for (const job of scheduler.running) cached += job.promptTokens + job.emitted
    const waiting = scheduler.waiting.length
    put('gauge', 'vllm:num_requests_running', 'Number of requests in model execution batches.', [
      [label, scheduler.running.size],
    ])
    put('gauge', 'vllm:num_requests_waiting', 'Number of requests waiting to be processed.', [[label, waiting]])
    put('gauge', 'vllm:num_requests_waiting_by_reason', 'Number of waiting requests by reason.', [
      [`${label},reason="capacity"`, waiting],
      [`${label},reason="deferred"`, 0],
    ])
    put('gauge', 'vllm:kv_cache_usage_perc', 'KV-cache usage. 1 means 100 percent usage.', [
      [label, Math.min(1, cached / cacheTokens)],
    ])
    put('counter', 'vllm:num_preemptions_total', 'Cumulative number of preemption from the engine.', [[label, 0]])
    put('counter', 'vllm:prompt_tokens_total', 'Number of prefill tokens processed.', [[label, this.promptTokens]])
    put('counter', 'vllm:generation_tokens_total', 'Number of generation tokens processed.', [
      [label, this.generationTokens],
    ])
    const reasons = Object.entries({ ...this.ended, repetition: 0 })
    put('counter', 'vllm:request_success_total', 'Count of successfully processed requests.', [
      ...reasons.map(
        ([reason, count]) =>
          [`${engine},finished_reason="${reason}",model_name="${model}"`, count] satisfies [string, number],
      ),
    ])
    for (const name of Object.keys(histogramTable) as HistogramName[]) this.#printHistogram(lines, name, label)
    put('counter', 'http_requests_total', 'Total number of requests by method, status and handler.', [
      ...this.#byHandler,
    ])
    return `${lines.join('\n')}\n`
  }

  #printHistogram(lines: string[], name: HistogramName, label: string) {
    const [help, bounds] = histogramTable[name]
    const histogram = this.#histograms.get(name)
    const [engine, model] = label.split(',')
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} histogram`)
    let below = 0
    bounds.forEach((bound, at) => {
      below += histogram?.counts[at] ?? 0
      lines.push(`${name}_bucket{${engine},le="${number(bound)}",${model}} ${number(below)}`)
    })
    const count = histogram?.count ?? 0
    lines.push(`${name}_bucket{${engine},le="+Inf",${model}} ${number(count)}`)
    lines.push(`${name}_count{${label}} ${number(count)}`, `${name}_sum{${label}} ${number(histogram?.sum ?? 0)}`)
  }
}
