import { once } from 'node:events'
import { WebSocket } from 'ws'
import { signIn } from '../src/api/sign-in-for-tests.ts'
import { livePath } from '../src/wire/live.ts'

export interface Event {
  readonly name: string
  /** What sockets are told once it happened, and were not told before; absent: nothing of which that can be said. */
  readonly text?: string
  /** What one row, or one note, of the page of deployments then has, all of it; absent: nothing of it is there to see. */
  readonly onPage?: readonly string[]
  /** The node whose row on the page of the fleet then says `draining`. */
  readonly drains?: string
  readonly ask: () => Promise<unknown>
  /** Until what it set going is done. */
  readonly restMs?: number
}

/** Something that shows what the control plane tells: a socket, or a page in a browser. */
export interface Dashboard {
  /** Brings to sight what the event will change. */
  expects?(event: Event): Promise<void>
  /** Resolves with the moment, of `performance.now()`, at which the event is shown; null where it shows no such thing. */
  shows(event: Event): Promise<number> | null
  /** When what is shown happened, of `performance.now()`; absent: with the call that asked for it. */
  happened?(event: Event): Promise<number>
  close(): Promise<void>
}

export const giveUpMs = 10_000
const topics = ['fleet', 'launches', 'deployments', 'status', 'changed']

/** A reader that follows what a page follows. */
export class Socket implements Dashboard {
  readonly #socket: WebSocket
  readonly #waiting = new Map<string, (at: number) => void>()

  private constructor(socket: WebSocket) {
    this.#socket = socket
    // Looked for in the bytes: two hundred readers that parse every message would be what is measured.
    socket.on('message', (data: Buffer) => {
      const at = performance.now()
      for (const [wanted, found] of this.#waiting) if (data.includes(wanted)) found(at)
    })
  }

  static async open(url: string, token: string): Promise<Socket> {
    const cookie = await signIn(url, token)
    const socket = new WebSocket(url.replace('http', 'ws') + livePath, { headers: { cookie, origin: url } })
    const opened = new Socket(socket)
    await once(socket, 'open')
    const followed = Promise.all(topics.map((topic) => opened.#hears(`"topic":"${topic}"`)))
    socket.send(JSON.stringify({ do: 'hello' }))
    for (const topic of topics) socket.send(JSON.stringify({ do: 'follow', topic }))
    await followed
    return opened
  }

  shows({ text }: Event): Promise<number> | null {
    return text === undefined ? null : this.#hears(text)
  }

  #hears(text: string): Promise<number> {
    const shown = Promise.withResolvers<number>()
    this.#waiting.set(text, shown.resolve)
    const late = setTimeout(() => shown.reject(new Error(`never shown: ${text}`)), giveUpMs)
    return shown.promise.finally(() => {
      clearTimeout(late)
      this.#waiting.delete(text)
    })
  }

  async close(): Promise<void> {
    this.#socket.terminate()
  }
}
