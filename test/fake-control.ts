import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { failureRecord } from '../src/core/failure.ts'
import type { LiveRequest } from '../src/wire/live.ts'
import type { LaunchDetail } from '../src/wire/views.ts'

export const token = 'fd_op_test'

/** A control plane that says what a test wants it to say. */
export class FakeControl {
  readonly answers = new Map<string, { status: number; body: unknown }>()
  readonly asked: { call: string; body: string; headers: IncomingMessage['headers'] }[] = []
  /** What a follower is told, for each connection in turn; `cut` ends that connection. */
  readonly scripts: ((tell: (launch: LaunchDetail) => void, cut: () => void) => void)[] = []
  readonly sockets = new Set<WebSocket>()
  connections = 0
  #server: Server
  #live = new WebSocketServer({ noServer: true })

  constructor() {
    this.#server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      const call = `${request.method} ${request.url}`
      this.asked.push({ call, body, headers: request.headers })
      const { status, body: reply } = this.answers.get(call) ?? refusal('not_found', 404, `Nothing at ${call}.`)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(reply))
    })
    this.#server.on('upgrade', (request, socket, head) => {
      this.#live.handleUpgrade(request, socket, head, (live) => this.#serve(live))
    })
  }

  #serve(live: WebSocket): void {
    this.sockets.add(live)
    live.on('message', (data) => {
      const asked = JSON.parse(String(data)) as LiveRequest
      if (asked.do === 'hello') {
        if (asked.token !== token) return live.close(4001, 'unauthenticated')
        return live.send(JSON.stringify({ topic: 'hello', name: 'admin', role: 'admin', aliveMs: 20_000 }))
      }
      if (asked.do !== 'follow' || asked.topic !== 'launch') return
      const tell = (launch: LaunchDetail) => live.send(JSON.stringify({ topic: 'launch', id: asked.id, launch }))
      this.scripts[this.connections++]?.(tell, () => live.terminate())
    })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  answer(call: string, body: unknown, status = 200): void {
    this.answers.set(call, { status, body })
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  close(): Promise<void> {
    for (const live of this.sockets) live.terminate()
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}

export function refusal(code: Parameters<typeof failureRecord>[0], status: number, cause: string) {
  return { status, body: { error: { ...failureRecord(code, cause), requestId: 'req-7', details: {} } } }
}
