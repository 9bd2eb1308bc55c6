import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { jitter } from '../lib/chance.ts'
import type { Pins } from '../lib/trust.ts'
import { callUpgrade, UpgradeRefused } from '../lib/upgrade-call.ts'
import { reverse } from '../wire/paths.ts'
import type { Gateways } from './node-disk.ts'
import { backOff } from './orders.ts'
import type { OwnLog } from './own-log.ts'
import { refusePlainHttp } from './settings.ts'
import { readTimeoutMs } from './timing.ts'

export type Gateway = Gateways[number]

export interface LinkDeps {
  readonly credential: string
  readonly incarnation: string
  readonly pins: Pins
  readonly log: OwnLog
  /** A new socket whose other end is a gateway: from here on it carries requests to us. */
  readonly onSocket: (socket: Duplex, link: GatewayLink) => void
  readonly onClosed: (socket: Duplex) => void
  /** Any word of a gateway that knows our credential. */
  readonly onWord: () => void
  /** The gateway says that this node was released; only the control plane's own word ends it. */
  readonly onReleased: () => void
}

const mostSockets = 256
const refusedWaitMs = 30_000
// A guess: whoever starts the gateway again wants its nodes back at once, and a dial that fails costs next to nothing.
const longestRedialMs = 2_000
const farewellMs = 1_000
// A gateway that takes a socket and drops it at once is in trouble; dialing in a tight circle would add to it.
const shortLifeMs = 1_000

/**
 * The sockets lent to one gateway process: one spare when idle, more as they are used or asked for. Only the gateway
 * closes surplus ones: it alone knows that no request is on its way over them.
 */
export class GatewayLink {
  readonly id: string
  readonly url: string
  readonly #fingerprint: string | null
  readonly #deps: LinkDeps
  readonly #spares = new Set<Duplex>()
  readonly #busy = new Set<Duplex>()
  readonly #unused = new Map<Duplex, number>()
  #dialing = 0
  #failures = 0
  #retry: NodeJS.Timeout | null = null
  #open = true

  constructor({ id, url, fingerprint }: Gateway, deps: LinkDeps) {
    this.id = id
    this.url = url
    // What an older agent kept on its disk has none.
    this.#fingerprint = fingerprint ?? null
    this.#deps = deps
    this.#ensureSpare()
  }

  get spareCount(): number {
    return this.#spares.size
  }

  get busyCount(): number {
    return this.#busy.size
  }

  /** A request took a spare; `wanted` more were asked for besides. */
  busy(socket: Duplex, wanted: number): void {
    if (!this.#spares.delete(socket)) return
    this.#unused.delete(socket)
    this.#busy.add(socket)
    this.#failures = 0
    this.#ensureSpare(wanted)
  }

  idle(socket: Duplex): void {
    if (!this.#busy.delete(socket) || socket.destroyed) return
    if (this.#open) this.#spares.add(socket)
    else socket.end()
  }

  /** No new requests from here: spares go now, sockets in use when their request is done. */
  withdraw(): void {
    this.#open = false
    if (this.#retry) clearTimeout(this.#retry)
    for (const socket of this.#spares) {
      socket.end()
      // The gateway answers our end with its own; one that does not is not waited for.
      setTimeout(() => socket.destroy(), farewellMs).unref()
    }
  }

  reopen(): void {
    this.#open = true
    this.#failures = 0
    if (this.#retry) clearTimeout(this.#retry)
    this.#retry = null
    this.#ensureSpare()
  }

  /** Cuts everything, requests in flight as well. */
  destroy(): void {
    this.withdraw()
    for (const socket of [...this.#spares, ...this.#busy]) socket.destroy()
  }

  #ensureSpare(extra = 0): void {
    if (!this.#open || this.#retry) return
    const wanted = Math.max(extra, 1 - this.#spares.size - this.#dialing)
    const room = mostSockets - this.#spares.size - this.#busy.size - this.#dialing
    for (let i = 0; i < Math.min(wanted, room); i++) void this.#dial()
  }

  async #dial(): Promise<void> {
    this.#dialing += 1
    try {
      const socket = await this.#upgrade()
      this.#dialing -= 1
      if (this.#open) this.#lend(socket)
      else socket.destroy()
    } catch (error) {
      this.#dialing -= 1
      this.#dialFailed(error)
    }
  }

  #lend(socket: Socket): void {
    this.#deps.onWord()
    // Requests and tokens are small writes; and a peer that lost its power must be noticed within half a minute.
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 15_000)
    socket.on('error', (error) => this.#deps.log.sayOnce(`socket ${this.id}`, `Gateway ${this.id}: ${error.message}`))
    socket.once('close', () => this.#closed(socket))
    this.#unused.set(socket, performance.now())
    this.#spares.add(socket)
    this.#deps.onSocket(socket, this)
  }

  #closed(socket: Duplex): void {
    this.#spares.delete(socket)
    this.#busy.delete(socket)
    this.#deps.onClosed(socket)
    const bornAt = this.#unused.get(socket)
    this.#unused.delete(socket)
    if (bornAt !== undefined && performance.now() - bornAt < shortLifeMs) this.#redialLater(0)
    else this.#ensureSpare()
  }

  #dialFailed(error: unknown): void {
    const status = error instanceof UpgradeRefused ? error.status : 0
    const why = error instanceof Error ? error.message : String(error)
    if (this.#open) this.#deps.log.sayOnce(`dial ${this.id}`, `Gateway ${this.id} at ${this.url}: ${why}`)
    if (status === 410) this.#deps.onReleased()
    this.#redialLater(status)
  }

  #redialLater(status: number): void {
    this.#failures += 1
    if (!this.#open || this.#retry) return
    // 401 and 409 are ordinary right after a join or a restart: the gateway's table is a moment behind.
    const wait = status === 410 ? refusedWaitMs : backOff(this.#failures, 100, longestRedialMs)
    this.#retry = setTimeout(() => {
      this.#retry = null
      this.#ensureSpare()
    }, wait * jitter(0.2))
  }

  async #upgrade(): Promise<Socket> {
    refusePlainHttp(this.url, 'The address of a gateway')
    const { credential, incarnation, pins } = this.#deps
    const trust = await pins.trust(this.url, this.#fingerprint)
    const headers = {
      connection: 'Upgrade',
      upgrade: reverse.protocol,
      authorization: `Bearer ${credential}`,
      [reverse.incarnationHeader]: incarnation,
    }
    return (await callUpgrade(new URL(reverse.path, this.url), { ...trust, headers }, readTimeoutMs)).socket
  }
}
