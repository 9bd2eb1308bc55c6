import { Agent as HttpAgent, type RequestOptions, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { Pins } from '../lib/trust.ts'
import { readTimeoutMs } from './timing.ts'

export interface Answer {
  readonly status: number
  readonly body: unknown
}

const maxAnswerBytes = 4 * 1024 * 1024

/** The agent's calls to the control plane, over one kept connection. Every call rejects on network trouble. */
export class ControlClient {
  readonly #url: string
  readonly #fingerprint: string | null
  /** Shared with the links to the gateways. */
  readonly pins = new Pins()
  #agent: HttpAgent | HttpsAgent | null = null

  constructor(url: string, fingerprint: string | null) {
    this.#url = url
    this.#fingerprint = fingerprint
  }

  async post(path: string, bearer: string, body: object): Promise<Answer> {
    const agent = await this.#connections()
    const text = JSON.stringify(body)
    const headers = {
      authorization: `Bearer ${bearer}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    }
    return send(this.#url + path, { method: 'POST', agent, headers }, text)
  }

  close(): void {
    this.#agent?.destroy()
  }

  async #connections(): Promise<HttpAgent | HttpsAgent> {
    const trust = await this.pins.trust(this.#url, this.#fingerprint)
    // Longer than a heartbeat, shorter than what servers and proxies keep (60 s and more): none is cut under a request.
    const kept = { keepAlive: true, timeout: 30_000 }
    this.#agent ??= this.#url.startsWith('https:') ? new HttpsAgent({ ...kept, ...trust }) : new HttpAgent(kept)
    return this.#agent
  }
}

function send(url: string, options: RequestOptions, text: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const start = url.startsWith('https:') ? requestHttps : requestHttp
    const request = start(url, options, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > maxAnswerBytes) request.destroy(new Error('The answer is too long.'))
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: parse(Buffer.concat(chunks)) }))
      response.on('error', reject)
    })
    const deadline = setTimeout(
      () => request.destroy(new Error(`No answer within ${readTimeoutMs} ms.`)),
      readTimeoutMs,
    )
    request.on('close', () => clearTimeout(deadline))
    request.on('error', reject)
    request.end(text)
  })
}

/** A proxy's error page is not JSON; it counts as an answer without content. */
function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return null
  }
}
