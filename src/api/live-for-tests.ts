import { WebSocket } from 'ws'
import { type LiveMessage, liveMessage, livePath } from '../wire/live.ts'
import type { TestApi } from './api-for-tests.ts'

/** A reader that keeps all it hears. */
export class Follower {
  readonly socket: WebSocket
  readonly heard: LiveMessage[] = []
  readonly closed: Promise<{ code: number; reason: string }>
  readonly #waiting = new Set<() => void>()

  constructor(to: TestApi, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(to.api.url.replace('http', 'ws') + livePath, { headers })
    this.socket.on('message', (data) => {
      this.heard.push(liveMessage.parse(JSON.parse(String(data))))
      for (const look of this.#waiting) look()
    })
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }))
    })
  }

  say(message: unknown): void {
    this.socket.send(JSON.stringify(message))
  }

  hears<T extends LiveMessage['topic']>(
    topic: T,
    matches: (message: Extract<LiveMessage, { topic: T }>) => boolean = () => true,
  ): Promise<Extract<LiveMessage, { topic: T }>> {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.heard.find(
          (message) => message.topic === topic && matches(message as Extract<LiveMessage, { topic: T }>),
        )
        if (!found) return
        this.#waiting.delete(look)
        resolve(found as Extract<LiveMessage, { topic: T }>)
      }
      this.#waiting.add(look)
      look()
    })
  }
}

/** Says hello and waits for the answer. */
export async function greetedBy(follower: Follower, token: string): Promise<Follower> {
  await new Promise((resolve, reject) => follower.socket.once('open', resolve).once('error', reject))
  follower.say({ do: 'hello', token })
  await follower.hears('hello')
  return follower
}
