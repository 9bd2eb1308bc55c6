import type { Duplex } from 'node:stream'
import { type Gateway, GatewayLink, type LinkDeps } from './gateway-link.ts'
import type { Gateways } from './node-disk.ts'

export type FleetDeps = Omit<LinkDeps, 'onSocket' | 'onClosed'> & {
  readonly onSocket: (socket: Duplex) => void
  /** The last socket has closed. */
  readonly onEmpty: () => void
}

const keyOf = ({ id, url, fingerprint }: Gateway): string => `${id} ${url} ${fingerprint ?? ''}`

/** One link for each gateway process that we were told of. */
export class Fleet {
  readonly #deps: FleetDeps
  readonly #links = new Map<string, GatewayLink>()
  /** Gateways that are no longer named, while requests over them are finished. */
  readonly #leaving = new Set<GatewayLink>()
  readonly #linkOf = new Map<Duplex, GatewayLink>()
  #open = true

  constructor(deps: FleetDeps) {
    this.#deps = deps
  }

  get spareCount(): number {
    let count = 0
    for (const link of this.#links.values()) count += link.spareCount
    return count
  }

  get socketCount(): number {
    return this.#linkOf.size
  }

  /** Dials whom we do not know yet, and leaves whom nobody names any more. */
  follow(gateways: Gateways): void {
    const named = new Map(gateways.map((gateway) => [keyOf(gateway), gateway]))
    for (const [key, link] of this.#links) {
      if (named.has(key)) continue
      this.#links.delete(key)
      this.#leaving.add(link)
      link.withdraw()
    }
    for (const [key, gateway] of named) {
      if (this.#links.has(key) || !this.#open) continue
      this.#links.set(key, new GatewayLink(gateway, this.#linkDeps()))
    }
  }

  busy(socket: Duplex, wanted: number): void {
    this.#linkOf.get(socket)?.busy(socket, wanted)
  }

  idle(socket: Duplex): void {
    this.#linkOf.get(socket)?.idle(socket)
  }

  withdraw(): void {
    if (!this.#open) return
    this.#open = false
    for (const link of this.#links.values()) link.withdraw()
    if (this.#linkOf.size === 0) this.#deps.onEmpty()
  }

  reopen(): void {
    if (this.#open) return
    this.#open = true
    for (const link of this.#links.values()) link.reopen()
  }

  destroy(): void {
    this.#open = false
    for (const link of [...this.#links.values(), ...this.#leaving]) link.destroy()
  }

  #linkDeps(): LinkDeps {
    const { onSocket, onEmpty, ...rest } = this.#deps
    return {
      ...rest,
      onSocket: (socket, link) => {
        this.#linkOf.set(socket, link)
        onSocket(socket)
      },
      onClosed: (socket) => {
        const link = this.#linkOf.get(socket)
        this.#linkOf.delete(socket)
        if (link && link.busyCount + link.spareCount === 0) this.#leaving.delete(link)
        if (this.#linkOf.size === 0) onEmpty()
      },
    }
  }
}
