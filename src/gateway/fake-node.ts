import { connect, type Socket } from 'node:net'
import { reverse } from '../wire/paths.ts'

/** A request as it came over a reversed connection. */
export interface NodeRequest {
  readonly line: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly socket: Socket
}

export type Script = (request: NodeRequest) => void

/** Writes a whole plain answer. */
export function answerJson(socket: Socket, body: unknown, status = 200) {
  const text = JSON.stringify(body)
  const head = `HTTP/1.1 ${status} X\r\ncontent-type: application/json\r\nserver: uvicorn\r\n`
  socket.write(`${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
}

export const streamHead =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n'

export const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

export const lastChunk = '0\r\n\r\n'

/** An event with one token. */
export const tokenEvent = (text: string): string =>
  `data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":${JSON.stringify(text)}}}]}\n\n`

export const usageEvent = (prompt: number, completion: number): string =>
  `data: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":${prompt},"completion_tokens":${completion}}}\n\n`

export const doneEvent = 'data: [DONE]\n\n'

/** A well engine: health, the model list, and one token for each probe. */
export function wellEngine(servedName: string, generate: Script): Script {
  return (request) => {
    const { path, socket } = request
    if (path === '/health') socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    else if (path === '/v1/models') answerJson(socket, { object: 'list', data: [{ id: servedName }] })
    else if (path === reverse.nudgePath) answerJson(socket, {})
    // A request without an id is the gateway's own: the probe for one token.
    else if (request.headers['x-request-id'] === undefined) answerJson(socket, { choices: [{ text: 'x' }] })
    else generate(request)
  }
}

/** An agent's side of the reversed connections, with raw bytes as answers. */
export class FakeNode {
  readonly requests: NodeRequest[] = []
  readonly sockets = new Set<Socket>()
  /** Dials more when the gateway asks, as the agent does. */
  follows = true
  script: Script
  readonly #gatewayPort: number
  readonly #credential: string
  readonly #incarnation: string
  readonly #watchers = new Set<() => void>()
  #closed = false

  constructor(gatewayPort: number, credential: string, script: Script, incarnation = 'incarnation-1') {
    this.#gatewayPort = gatewayPort
    this.#credential = credential
    this.#incarnation = incarnation
    this.script = script
  }

  /** Resolves with the status line of the gateway's answer: 101 means that the socket is lent. */
  dial(extra = ''): Promise<number> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#gatewayPort, '127.0.0.1')
      socket.on('error', reject)
      socket.write(
        `GET ${reverse.path} HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: ${reverse.protocol}\r\n` +
          `Authorization: Bearer ${this.#credential}\r\n${reverse.incarnationHeader}: ${this.#incarnation}\r\n\r\n${extra}`,
      )
      let held = ''
      const onData = (bytes: Buffer) => {
        held += bytes.toString('latin1')
        const end = held.indexOf('\r\n\r\n')
        if (end < 0) return
        socket.off('data', onData)
        const status = Number(held.slice(9, 12))
        if (status === 101) this.#lend(socket, held.slice(end + 4))
        resolve(status)
      }
      socket.on('data', onData)
    })
  }

  #lend(socket: Socket, rest: string) {
    if (this.#closed) return socket.destroy()
    socket.removeAllListeners('error')
    // Sockets break in these tests on purpose.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.sockets.delete(socket)
      this.#changed()
    })
    this.sockets.add(socket)
    // The gateway may have asked at once, in the same packet as its 101.
    let held = this.#requests(socket, Buffer.from(rest, 'latin1'))
    socket.on('data', (bytes: Buffer) => {
      held = Buffer.concat([held, bytes])
      held = this.#requests(socket, held)
    })
    socket.resume()
    this.#changed()
  }

  #requests(socket: Socket, bytes: Buffer): Buffer<ArrayBuffer> {
    const end = bytes.indexOf('\r\n\r\n')
    if (end < 0) return Buffer.from(bytes)
    const [line = '', ...fields] = bytes.toString('latin1', 0, end).split('\r\n')
    const headers = Object.fromEntries(fields.map((field) => field.toLowerCase().split(': ', 2) as [string, string]))
    const bodyEnd = end + 4 + Number(headers['content-length'] ?? 0)
    if (bytes.length < bodyEnd) return Buffer.from(bytes)
    const body = bytes.toString('utf8', end + 4, bodyEnd)
    const request = { line, path: line.split(' ')[1] ?? '', headers, body, socket }
    this.requests.push(request)
    for (let n = Number(headers[reverse.dialHeader] ?? 0); n > 0 && this.follows && !this.#closed; n -= 1)
      this.dial().catch(() => socket)
    this.script(request)
    this.#changed()
    return Buffer.from(bytes.subarray(bodyEnd))
  }

  #changed() {
    for (const look of [...this.#watchers]) look()
  }

  /** Requests to the paths of clients, probes left out. */
  get generations(): NodeRequest[] {
    return this.requests.filter((request) => request.headers['x-request-id'] !== undefined)
  }

  until(check: (node: FakeNode) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!check(this)) return
        this.#watchers.delete(look)
        resolve()
      }
      this.#watchers.add(look)
      look()
    })
  }

  close() {
    this.#closed = true
    for (const socket of [...this.sockets]) socket.destroy()
  }
}
