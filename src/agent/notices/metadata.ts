// What a cloud tells on the machine itself of the machine's end. Each cloud's service is one file beside this one.
// Deliberately absent: what follows from a notice; the control plane decides that.
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import type { Announcement } from '../../core/notice.ts'

export interface MetadataAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface MetadataCall {
  readonly method?: 'GET' | 'PUT' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutMs: number
}

const longestAnswer = 1024 * 1024

/** The metadata service of the machine: plain HTTP on an address that never leaves the host, and never a proxy. */
export class Metadata {
  readonly #url: string
  readonly #agent = new Agent({ keepAlive: true })
  readonly #stop: AbortSignal

  constructor(url: string, stop: AbortSignal) {
    this.#url = url
    this.#stop = stop
    stop.addEventListener('abort', () => this.#agent.destroy(), { once: true })
  }

  /** @throws when there is no answer within the time, and when the watch is over. */
  ask({ method = 'GET', path, headers = {}, body = '', timeoutMs }: MetadataCall): Promise<MetadataAnswer> {
    const signal = AbortSignal.any([this.#stop, AbortSignal.timeout(timeoutMs)])
    const length = body === '' ? {} : { 'content-length': Buffer.byteLength(body) }
    return new Promise((resolve, reject) => {
      const call = request(this.#url + path, { method, headers: { ...headers, ...length }, agent: this.#agent, signal })
      call.on('error', reject)
      call.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
          if (text.length > longestAnswer) call.destroy(new Error('The answer is too long.'))
        })
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
      })
      call.end(body)
    })
  }
}

/** What the service announces for this machine. */
export interface Announced extends Pick<Announcement, 'kind' | 'action'> {
  /** Epoch ms by the cloud's clock, which the machine's follows; null where the cloud does not say. */
  readonly at: number | null
  /** Tells the cloud that it need not wait any longer, where it would. */
  readonly acknowledge?: () => Promise<void>
}

/** What a question needs of the service. */
export type Asking = Pick<Metadata, 'ask'>

/** One thing that is asked again and again, every `waitMs` or as soon as it was answered; it may be the service that waits. */
export interface Question {
  readonly waitMs: number
  ask(): Promise<Announced | null>
}

/** @throws Error with what was answered, where an answer is neither a notice nor "no notice". */
export function unexpected(path: string, { status, text }: MetadataAnswer): Error {
  return new Error(`${path} answered ${status}: ${text.slice(0, 200)}`)
}

export function parsed(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new Error(`not an object: ${text.slice(0, 200)}`)
  return value as Readonly<Record<string, unknown>>
}

/** Epoch ms of a time as the service writes it, or null where it leaves it out. */
export function timeOf(value: unknown): number | null {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(ms) ? null : ms
}
