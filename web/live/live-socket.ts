import type { LiveMessage } from '../../src/wire/live.ts'
import { liveClose } from '../../src/wire/live.ts'

/** What may be followed. The server knows which topics there are; this file does not. */
export interface Topic {
  readonly topic: string
  readonly id?: string
}

export type LinkState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** The connection was lost; what is shown is as old as `lostAt`, in ms of the monotonic clock. */
  | { readonly kind: 'reconnecting'; readonly lostAt: number; readonly why: string }
  /** The server takes no hello from us: nobody is signed in. */
  | { readonly kind: 'refused' }

/** The part of a browser that the connection needs; tests bring their own. */
export interface LiveWorld {
  open(): WebSocket
  /** The server said hello, `tookMs` after we did. */
  greeted(hello: Extract<LiveMessage, { topic: 'hello' }>, tookMs: number): void
  elapsed(): number
  chance(): number
  /** Returns what calls it off. */
  after(ms: number, act: () => void): () => void
}

type Hear = (message: LiveMessage) => void

const firstWaitMs = 250
const longestWaitMs = 10_000
// A connection that does not come about is given up: the browser's own patience is minutes.
const openWithinMs = 8_000
// Of the times between two signs of life. One may be late on a busy server.
const silentTimes = 2.25

/**
 * One connection for the whole page. Topics are followed as long as somebody listens, and followed anew after each
 * reconnection: the server then tells the whole of each, so nothing that happened meanwhile is missed.
 */
export class LiveSocket {
  readonly #world: LiveWorld
  readonly #followed = new Map<string, { readonly topic: Topic; readonly hear: Set<Hear> }>()
  readonly #watchers = new Set<() => void>()
  #socket: WebSocket | null = null
  #greeted = false
  #callOff: () => void = () => undefined
  #failures = 0
  #helloAt = 0
  #heardAt = 0
  #silentMs = Number.POSITIVE_INFINITY
  state: LinkState = { kind: 'idle' }

  constructor(world: LiveWorld) {
    this.#world = world
  }

  /** Connects, also where an earlier connection was refused. */
  start(): void {
    this.#drop()
    this.#failures = 0
    this.#become({ kind: 'connecting' })
    this.#connect()
  }

  stop(): void {
    this.#drop()
    this.#become({ kind: 'idle' })
  }

  /** At once instead of after the pause: the network came back, or somebody looks at the page again. */
  hurry(): void {
    if (this.state.kind === 'live') this.#listen()
    if (this.state.kind !== 'reconnecting' || this.#socket) return
    this.#callOff()
    this.#connect()
  }

  follow(topic: Topic, hear: Hear): () => void {
    const key = keyOf(topic.topic, topic.id)
    const entry = this.#followed.get(key) ?? { topic, hear: new Set() }
    entry.hear.add(hear)
    // A second listener of a topic needs the whole of it as well, and the server tells it to who follows anew.
    if (this.#followed.has(key)) this.#say({ do: 'leave', ...topic })
    this.#followed.set(key, entry)
    this.#say({ do: 'follow', ...topic })
    return () => {
      entry.hear.delete(hear)
      if (entry.hear.size > 0 || this.#followed.get(key) !== entry) return
      this.#followed.delete(key)
      this.#say({ do: 'leave', ...topic })
    }
  }

  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  #become(state: LinkState): void {
    this.state = state
    for (const watcher of this.#watchers) watcher()
  }

  #say(request: unknown): void {
    if (this.#greeted) this.#socket?.send(JSON.stringify(request))
  }

  #drop(): void {
    this.#callOff()
    const socket = this.#socket
    this.#socket = null
    this.#greeted = false
    if (!socket) return
    socket.onmessage = null
    socket.onclose = null
    socket.close()
  }

  #connect(): void {
    const socket = this.#world.open()
    this.#socket = socket
    this.#callOff = this.#world.after(openWithinMs, () => this.#lost('no answer came'))
    socket.onopen = () => {
      this.#helloAt = this.#world.elapsed()
      socket.send(JSON.stringify({ do: 'hello' }))
    }
    // Not checked against the schema: a newer server may say more than this page knows.
    socket.onmessage = ({ data }) => this.#heard(JSON.parse(String(data)) as LiveMessage)
    socket.onclose = ({ code, reason }) => {
      if (code === liveClose.unauthenticated) {
        this.#drop()
        this.#become({ kind: 'refused' })
      } else this.#lost(reason || (this.#greeted ? 'the connection was cut' : 'no connection'))
    }
  }

  /** A connection may die without a word: a network that went away, a machine that slept. */
  #listen(): void {
    this.#callOff()
    const leftMs = this.#heardAt + this.#silentMs - this.#world.elapsed()
    if (leftMs <= 0) this.#lost('nothing was heard any more')
    else this.#callOff = this.#world.after(leftMs, () => this.#listen())
  }

  #heard(message: LiveMessage): void {
    this.#heardAt = this.#world.elapsed()
    if (message.topic === 'hello') {
      this.#silentMs = message.aliveMs * silentTimes
      this.#world.greeted(message, this.#world.elapsed() - this.#helloAt)
      this.#greeted = true
      this.#failures = 0
      for (const { topic } of this.#followed.values()) this.#say({ do: 'follow', ...topic })
      this.#become({ kind: 'live' })
      this.#listen()
      return
    }
    const id = 'id' in message ? message.id : undefined
    for (const hear of this.#followed.get(keyOf(message.topic, id))?.hear ?? []) hear(message)
  }

  #lost(why: string): void {
    const lostAt = this.state.kind === 'reconnecting' ? this.state.lostAt : this.#world.elapsed()
    this.#drop()
    const waitMs = Math.min(longestWaitMs, firstWaitMs * 2 ** this.#failures) * (0.5 + this.#world.chance())
    this.#failures += 1
    this.#callOff = this.#world.after(waitMs, () => this.#connect())
    this.#become({ kind: 'reconnecting', lostAt, why })
  }
}

const keyOf = (topic: string, id: string | undefined): string => `${topic}:${id ?? ''}`
