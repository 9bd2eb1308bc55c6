import type { Socket } from 'node:net'
import type { RoutedNode } from '../wire/gateway.ts'
import { NodeSocket, type SocketOwner } from './upstream.ts'

/** A request that waits for a spare socket. */
export interface Waiter {
  ready(socket: NodeSocket): void
  /** The last socket of the node closed: no spare will come. */
  gone(): void
}

export interface PoolLimits {
  readonly maxSockets: number
  readonly maxWaiting: number
}

/** Agents dial within a round trip; past this a hint is taken as lost. A guess. */
const dialPatienceMs = 5_000
const maxDialHint = 64
/** Idle spares beyond what traffic needs are closed after this long. */
const surplusMs = 60_000

/** The sockets of one node, and who waits for them. */
export class NodePool implements SocketOwner {
  node: RoutedNode
  /** Of the agent that holds the sockets; it means nothing when there are none. */
  incarnation = ''
  /** Client requests that were given to this node and are not over; the choice between nodes goes by it. */
  inFlight = 0
  /** The last own probe was bad: chosen only when there is nothing better, which matters while control is away. */
  doubtful = false
  /** Requests of clients that met a fault of this node since the last one that did not. */
  failuresInARow = 0
  /** Until when its failures keep it from getting requests while others serve: monotonic ms; null: it gets them. */
  ejectedUntil: number | null = null
  timesEjected = 0
  /** When its last ejection ended: monotonic ms. */
  quietSince = Number.NEGATIVE_INFINITY
  /** When a client's request last completed here: monotonic ms. */
  completedAt = Number.NEGATIVE_INFINITY
  /** Since when it has had requests without a pause, and when a byte of an answer last came: monotonic ms, coarse. */
  busySince = Number.NEGATIVE_INFINITY
  heardAt = Number.NEGATIVE_INFINITY
  /** When its agent last dialled, or answered a question of our own: monotonic ms. */
  aliveAt = Number.NEGATIVE_INFINITY
  readonly sockets = new Set<NodeSocket>()
  /** Calls the node at its address so many times more; null while its agent has to call us. */
  dialMore: ((count: number) => void) | null = null
  readonly #limits: PoolLimits
  readonly #idle: NodeSocket[] = []
  readonly #waiting: Waiter[] = []
  #dialling = 0
  #diallingSince = 0

  constructor(node: RoutedNode, limits: PoolLimits) {
    this.node = node
    this.#limits = limits
  }

  get spares(): number {
    return this.#idle.length
  }

  get waiting(): number {
    return this.#waiting.length
  }

  get full(): boolean {
    return this.sockets.size >= this.#limits.maxSockets
  }

  get directCount(): number {
    let count = 0
    for (const { direct } of this.sockets) if (direct) count += 1
    return count
  }

  /** The table wants requests to go to it. */
  get routable(): boolean {
    return this.node.routable && this.node.order === 'run'
  }

  get serves(): boolean {
    return this.routable && this.sockets.size > 0
  }

  add(socket: Socket, direct = false) {
    const fresh = new NodeSocket(socket, this, direct)
    this.sockets.add(fresh)
    this.aliveAt = performance.now()
    if (this.#dialling > 0) this.#dialling -= 1
    this.freed(fresh)
  }

  /** The warmest spare, or null. One to the node's own address comes before those that were lent. */
  take(): NodeSocket | null {
    const place = this.dialMore === null ? -1 : this.#idle.findLastIndex(({ direct }) => direct)
    if (place >= 0) return this.#idle.splice(place, 1)[0] ?? null
    return this.#idle.pop() ?? null
  }

  /** False when the line is full already. */
  wait(waiter: Waiter): boolean {
    if (this.#waiting.length >= this.#limits.maxWaiting) return false
    this.#waiting.push(waiter)
    // Nobody sends a request now that could carry the hint.
    if (this.dialMore !== null) this.dialHint()
    return true
  }

  leave(waiter: Waiter) {
    const place = this.#waiting.indexOf(waiter)
    if (place >= 0) this.#waiting.splice(place, 1)
  }

  /** How many sockets the agent should dial, told with the request that goes out now; 0 where we dial. Spares follow use. */
  dialHint(): number {
    const wanted = this.#waiting.length + Math.max(1, Math.ceil(this.inFlight / 2))
    if (this.#idle.length >= wanted) return 0
    const now = performance.now()
    if (now - this.#diallingSince > dialPatienceMs) this.#dialling = 0
    const room = this.#limits.maxSockets - this.sockets.size - this.#dialling
    const hint = Math.min(wanted - this.#idle.length - this.#dialling, room, maxDialHint)
    if (hint <= 0) return 0
    this.#dialling += hint
    this.#diallingSince = now
    if (this.dialMore === null) return hint
    this.dialMore(hint)
    return 0
  }

  freed(socket: NodeSocket) {
    const next = this.#waiting.shift()
    if (next) return next.ready(socket)
    socket.idleSince = performance.now()
    this.#idle.push(socket)
  }

  closed(socket: NodeSocket) {
    this.sockets.delete(socket)
    const place = this.#idle.indexOf(socket)
    if (place >= 0) this.#idle.splice(place, 1)
    if (this.sockets.size > 0) return
    for (const waiter of this.#waiting.splice(0)) waiter.gone()
  }

  /** Closes spares that traffic has not needed for a minute; the coldest are at the front. */
  trim(now: number) {
    // Besides those in use, the one that the agent lends in case its address fails.
    const keep = Math.max(1, Math.ceil(this.inFlight / 2)) + (this.dialMore === null ? 0 : 1)
    while (this.#idle.length > keep && now - (this.#idle[0]?.idleSince ?? now) > surplusMs) this.#idle[0]?.destroy()
  }

  /** Breaks requests in flight too: their readers are told and may try elsewhere. */
  closeAll(why: string) {
    const closing = [...this.sockets]
    // Whoever is broken with one of them must not be given the next.
    this.sockets.clear()
    this.#idle.length = 0
    for (const socket of closing) socket.fail(why)
  }
}
