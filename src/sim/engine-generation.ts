import type { ServerResponse } from 'node:http'
import {
  type AnswerHead,
  deadEngineChunk,
  type FinishReason,
  hashText,
  plainAnswer,
  type StreamShape,
  streamShape,
  tokenText,
} from './engine-answers.ts'
import type { SimMetrics } from './engine-metrics.ts'
import type { SimFaults, SimSettings } from './engine-options.ts'
import type { GenerationAsk } from './engine-requests.ts'
import type { SimJob, SimScheduler } from './engine-scheduler.ts'

/** What a generation needs of its engine. `faults` is read anew each time, because tests change it. */
export interface GenerationHost {
  readonly settings: SimSettings
  readonly metrics: SimMetrics
  readonly scheduler: SimScheduler
  faults(): SimFaults
  changed(): void
  completed(generation: Generation): void
}

export const answerHeaders = { server: 'uvicorn', vary: 'Origin' }

/** Writes a body byte by byte, each after its wait: a machine that is alive and useless. */
export function dribble(response: ServerResponse, body: string, msPerByte: number, done: () => void) {
  const bytes = Buffer.from(body)
  let at = 0
  const timer = setInterval(() => {
    if (response.destroyed || at >= bytes.length) {
      clearInterval(timer)
      if (!response.destroyed) done()
      return
    }
    response.write(bytes.subarray(at, at + 1))
    at += 1
  }, msPerByte)
}

/** One running answer: the scheduler says when tokens are due, this writes them and ends the response. */
export class Generation implements SimJob {
  readonly promptTokens: number
  readonly target: number
  readonly arrivedAt = performance.now()
  emitted = 0
  blocked = false
  admittedAt = 0
  readonly #host: GenerationHost
  readonly #ask: GenerationAsk
  readonly #response: ServerResponse
  readonly #head: AnswerHead
  readonly #shape: StreamShape | undefined
  readonly #seed: number
  readonly #reason: FinishReason
  #chunks = 0
  #firstTokenAt = 0
  #over = false
  #slow = ''

  constructor(host: GenerationHost, ask: GenerationAsk, id: string, response: ServerResponse) {
    const { replyTokens, seed } = host.settings
    this.#host = host
    this.#ask = ask
    this.#response = response
    this.promptTokens = ask.promptTokens
    this.target = Math.max(1, Math.min(ask.maxTokens, replyTokens))
    this.#reason = replyTokens < ask.maxTokens ? 'stop' : 'length'
    this.#seed = hashText(ask.prompt, seed)
    const created = Math.floor(Date.now() / 1000)
    this.#head = { kind: ask.kind, id, created, model: ask.model, promptTokens: ask.promptTokens }
    if (ask.stream) this.#shape = streamShape(this.#head, ask)
  }

  start() {
    const response = this.#response
    response.on('close', () => this.#clientLeft())
    if (this.#host.faults().cutAfterChunks === 0) return this.#cut()
    if (this.#shape) {
      response.writeHead(200, { ...answerHeaders, 'content-type': 'text/event-stream; charset=utf-8' })
      response.flushHeaders()
    }
    this.#host.scheduler.submit(this)
  }

  emit(from: number, upTo: number) {
    const { metrics } = this.#host
    if (from === 0) {
      this.#firstTokenAt = performance.now()
      metrics.promptTokens += this.promptTokens
    }
    metrics.generationTokens += upTo - from
    if (this.#shape) this.#emitChunks(this.#shape, from, upTo)
  }

  #emitChunks(shape: StreamShape, from: number, upTo: number) {
    const { cutAfterChunks, errorAfterChunks, slowMsPerByte } = this.#host.faults()
    const stopAt = Math.min(cutAfterChunks ?? Number.POSITIVE_INFINITY, errorAfterChunks ?? Number.POSITIVE_INFINITY)
    const pieces = from === 0 && shape.role ? [shape.role] : []
    for (let i = from; i < upTo; i++) {
      const last = i === this.target - 1
      pieces.push(shape.token(tokenText(this.#seed, i), last ? this.#reason : null, i + 1))
    }
    const stops = this.#chunks + pieces.length >= stopAt
    const text = (stops ? pieces.slice(0, Math.max(0, stopAt - this.#chunks)) : pieces).join('')
    this.#chunks += pieces.length
    if (slowMsPerByte) {
      this.#slow += text
      return
    }
    if (stops && stopAt === cutAfterChunks) return this.#cut(text)
    if (stops) return this.fail(text)
    if (this.#response.write(text)) return
    this.blocked = true
    this.#response.once('drain', () => {
      this.blocked = false
      this.#host.scheduler.wake()
    })
  }

  finished() {
    const { cutAfterChunks, errorAfterChunks } = this.#host.faults()
    if (!this.#shape && cutAfterChunks !== undefined) return this.#cut('{"id":')
    if (!this.#shape && errorAfterChunks !== undefined) return this.fail('')
    this.#finish()
  }

  /** The engine broke under this answer. `text` still reaches the client. */
  fail(text: string) {
    if (!this.#leave('error')) return
    const response = this.#response
    if (this.#shape) {
      response.end(text + deadEngineChunk)
      return
    }
    const message = 'EngineCore encountered an issue. See stack trace (above) for the root cause.'
    const error = { message, type: 'InternalServerError', param: null, code: 500 }
    response.writeHead(500, { ...answerHeaders, 'content-type': 'application/json' })
    response.end(JSON.stringify({ error }))
  }

  #finish() {
    const { metrics } = this.#host
    if (!this.#leave(this.#reason)) return
    const tokens = { prompt: this.promptTokens, made: this.target, asked: this.#ask.maxTokens }
    const { arrivedAt, admittedAt } = this
    metrics.generationEnded(tokens, {
      arrivedAt,
      admittedAt,
      firstTokenAt: this.#firstTokenAt,
      endedAt: performance.now(),
    })
    this.#response.on('finish', () => this.#host.completed(this))
    const text = this.#shape ? this.#streamEnd(this.#shape) : this.#plain()
    const { slowMsPerByte } = this.#host.faults()
    if (!slowMsPerByte) {
      this.#response.end(text)
      return
    }
    dribble(this.#response, this.#slow + text, slowMsPerByte, () => this.#response.end())
  }

  #streamEnd(shape: StreamShape): string {
    return `${this.#ask.includeUsage ? shape.usage(this.target) : ''}data: [DONE]\n\n`
  }

  #plain(): string {
    const words = Array.from({ length: this.target }, (_, i) => tokenText(this.#seed, i))
    const body = JSON.stringify(plainAnswer(this.#head, words.join(''), this.#reason, this.target))
    this.#response.writeHead(200, {
      ...answerHeaders,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    })
    return body
  }

  /** Sends what is given, then a reset: the client sees a broken connection, never an end. */
  #cut(text = '') {
    if (!this.#leave('error')) return
    const response = this.#response
    const { socket } = response
    const reset = () => setImmediate(() => socket?.resetAndDestroy())
    if (text === '') {
      reset()
      return
    }
    if (!response.headersSent) {
      response.writeHead(200, { ...answerHeaders, 'content-type': 'application/json', 'content-length': 4096 })
    }
    response.write(text, reset)
  }

  #clientLeft() {
    this.#leave('abort')
  }

  /** True for the first caller only: an answer ends once, for one reason. */
  #leave(reason: 'abort' | 'error' | FinishReason): boolean {
    if (this.#over) return false
    this.#over = true
    this.#host.scheduler.drop(this)
    this.#host.metrics.ended[reason] += 1
    this.#host.changed()
    return true
  }
}
