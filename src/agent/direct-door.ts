import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Duplex } from 'node:stream'
import { sameDigest, sha256 } from '../lib/chance.ts'
import type { DirectDoorTerms } from '../wire/agent.ts'
import { directPath, reverse } from '../wire/paths.ts'
import type { OwnLog } from './own-log.ts'

export interface DoorDeps {
  readonly terms: DirectDoorTerms
  readonly incarnation: string
  readonly log: OwnLog
  /** A new socket whose other end is a gateway: from here on it carries requests to us. */
  readonly onSocket: (socket: Duplex) => void
  readonly onClosed: (socket: Duplex) => void
  readonly onWord: () => void
}

// A port that is taken, by another node of this host say, may be free again later; meanwhile we call the gateways.
const listenAgainMs = 30_000
const handshakeMs = 15_000
// As many as a gateway takes of one node, for several gateways; whoever is in does not feel it.
const mostConnections = 1_024

/**
 * Where gateways call this node. They find a certificate of the install's authority in this machine's name, and show the
 * node's token once for each connection; what such a connection may carry is the same as for one that we have lent.
 */
export class DirectDoor {
  readonly #deps: DoorDeps
  readonly #server: Server
  readonly #spares = new Set<Duplex>()
  readonly #busy = new Set<Duplex>()
  #open = true
  #again: NodeJS.Timeout | null = null

  constructor(deps: DoorDeps) {
    this.#deps = deps
    const { cert, key, port } = deps.terms
    const limits = { handshakeTimeout: handshakeMs, headersTimeout: handshakeMs, requestTimeout: handshakeMs }
    // There is nothing here but the upgrade.
    this.#server = createServer({ cert, key, ALPNProtocols: ['http/1.1'], ...limits }, (incoming, response) => {
      incoming.resume()
      response.writeHead(404, { connection: 'close' }).end()
    })
    this.#server.maxConnections = mostConnections
    this.#server.on('upgrade', (incoming, socket, head) => this.#knock(incoming, socket, head))
    this.#server.on('error', (error) => this.#listenLater(error))
    this.#server.listen(port)
  }

  get spareCount(): number {
    return this.#spares.size
  }

  get busyCount(): number {
    return this.#busy.size
  }

  busy(socket: Duplex): void {
    if (this.#spares.delete(socket)) this.#busy.add(socket)
  }

  idle(socket: Duplex): void {
    if (!this.#busy.delete(socket) || socket.destroyed) return
    if (this.#open) this.#spares.add(socket)
    else socket.end()
  }

  /** No new requests from here: who knocks is refused, spares go now, sockets in use when their request is done. */
  withdraw(): void {
    this.#open = false
    for (const socket of this.#spares) socket.end()
  }

  reopen(): void {
    this.#open = true
  }

  destroy(): void {
    this.#open = false
    if (this.#again) clearTimeout(this.#again)
    this.#server.close()
    this.#server.closeAllConnections()
    for (const socket of [...this.#spares, ...this.#busy]) socket.destroy()
  }

  #listenLater(error: Error): void {
    const { log, terms } = this.#deps
    log.sayOnce('direct', `Port ${terms.port} cannot be opened (${error.message}); gateways are called instead.`)
    if (this.#server.listening) return
    this.#again = setTimeout(() => this.#server.listen(terms.port), listenAgainMs)
  }

  #knock(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const status = this.#statusFor(incoming, head)
    if (status !== 101) {
      socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
      return
    }
    const { incarnation, onSocket, onClosed, onWord } = this.#deps
    const who = `${reverse.incarnationHeader}: ${incarnation}`
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${reverse.protocol}\r\n${who}\r\n\r\n`,
    )
    onWord()
    this.#spares.add(socket)
    socket.once('close', () => {
      this.#spares.delete(socket)
      this.#busy.delete(socket)
      onClosed(socket)
    })
    onSocket(socket)
  }

  #statusFor({ url, headers }: IncomingMessage, head: Buffer): number {
    if (url !== directPath || headers.upgrade?.toUpperCase() !== reverse.protocol) return 404
    const token = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1] ?? ''
    if (!sameDigest(sha256(token), this.#deps.terms.tokenHash)) {
      this.#deps.log.sayOnce('direct token', 'Somebody knocked at the direct port without the token of this node.')
      return 401
    }
    // The gateway asks after our 101; bytes before it come from something else.
    if (head.length > 0) return 400
    return this.#open ? 101 : 503
  }
}
