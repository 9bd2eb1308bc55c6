import { Agent, type IncomingMessage, request } from 'node:http'

/** vLLM closes idle connections after 5 s; one that we reuse must be younger. */
export const engineConnections = new Agent({ keepAlive: true, timeout: 4_000, maxFreeSockets: 64, scheduling: 'lifo' })

export interface EngineAnswer {
  readonly status: number
  readonly text: string
}

const maxAnswerChars = 1_000_000

/** One call of our own to the engine; rejects when there is no whole answer in time. */
export function callEngine(
  port: number,
  method: 'GET' | 'POST',
  path: string,
  timeoutMs: number,
  body: object | null = null,
): Promise<EngineAnswer> {
  return new Promise((resolve, reject) => {
    const text = body === null ? '' : JSON.stringify(body)
    const headers =
      body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
    const options = { host: '127.0.0.1', port, method, path, headers, agent: engineConnections }
    const call = request(options, (response) => collect(response, resolve, reject))
    const deadline = setTimeout(() => call.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    call.on('close', () => clearTimeout(deadline))
    call.on('error', reject)
    call.end(text)
  })
}

function collect(response: IncomingMessage, resolve: (answer: EngineAnswer) => void, reject: (e: Error) => void): void {
  let text = ''
  response.setEncoding('utf8')
  response.on('data', (piece: string) => {
    if (text.length < maxAnswerChars) text += piece
  })
  response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
  response.on('error', reject)
}
