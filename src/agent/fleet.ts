import type { Duplex } from 'node:stream'
import type { DirectDoorTerms } from '../wire/agent.ts'
import { DirectDoor } from './direct-door.ts'
import { type Gateway, GatewayLink, type LinkDeps } from './gateway-link.ts'
import type { Gateways } from './node-disk.ts'

export type FleetDeps = Omit<LinkDeps, 'onSocket' | 'onClosed'> & {
  /** Null: no gateway calls this node. */
  readonly direct: DirectDoorTerms | null
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
  readonly #leaving = new Set<GatewayLink | DirectDoor>()
  readonly #linkOf = new Map<Duplex, GatewayLink | DirectDoor>()
  readonly #door: DirectDoor | null
  #open = true

  constructor(deps: FleetDeps) {
    this.#deps = deps
    this.#door = deps.direct && this.#openDoor(deps.direct)
  }

  get spareCount(): number {
    let count = this.#door?.spareCount ?? 0
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
    this.#door?.withdraw()
    if (this.#linkOf.size === 0) this.#deps.onEmpty()
  }

  reopen(): void {
    if (this.#open) return
    this.#open = true
    for (const link of this.#links.values()) link.reopen()
    this.#door?.reopen()
  }

  destroy(): void {
    this.#open = false
    for (const link of [...this.#links.values(), ...this.#leaving]) link.destroy()
    this.#door?.destroy()
  }

  #linkDeps(): LinkDeps {
    return {
      ...this.#deps,
      onSocket: (socket, link) => this.#taken(socket, link),
      onClosed: (socket) => this.#lost(socket),
    }
  }

  #openDoor(terms: DirectDoorTerms): DirectDoor {
    const door: DirectDoor = new DirectDoor({
      ...this.#deps,
      terms,
      onSocket: (socket) => this.#taken(socket, door),
      onClosed: (socket) => this.#lost(socket),
    })
    return door
  }

  #taken(socket: Duplex, by: GatewayLink | DirectDoor): void {
    this.#linkOf.set(socket, by)
    this.#deps.onSocket(socket)
  }

  #lost(socket: Duplex): void {
    const link = this.#linkOf.get(socket)
    this.#linkOf.delete(socket)
    if (link && link.busyCount + link.spareCount === 0) this.#leaving.delete(link)
    if (this.#linkOf.size === 0) this.#deps.onEmpty()
  }
}
