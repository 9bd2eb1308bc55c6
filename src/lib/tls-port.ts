import type { Server } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { KeyPair } from './certificate.ts'
import { isEveryAddress, isLoopback } from './host.ts'

export interface TlsPort {
  /** New connections get this certificate; those that are open go on. */
  renew(certificate: KeyPair): void
  /** Where the server listens on one address that is not loopback: makes what runs on this machine reach it, too. */
  listenHere(host: string, port: number): Promise<void>
  /** Connections that have not said yet what they are. */
  close(): void
}

// Whoever has not begun, or not shaken hands, by then is not going to. A guess.
const firstByteMs = 10_000
const handshakeMs = 15_000
/** The first byte of every TLS connection, and of no HTTP request. */
const handshakeRecord = 0x16

const refusal = 'This port speaks TLS. Plain HTTP is served to this machine only: use https.\n'

/**
 * Makes an HTTP server speak TLS to everybody, and plain HTTP to this very machine alone, on one port. So what runs here
 * needs no certificate, and what it was told at its birth stays true when the operator opens the port to others.
 */
export function serveTls(server: Server, certificate: KeyPair): TlsPort {
  const readers = server.listeners('connection')
  server.removeAllListeners('connection')
  const read = (socket: Socket): void => {
    for (const reader of readers) reader.call(server, socket)
  }
  const secure = createTlsServer({ ...certificate, ALPNProtocols: ['http/1.1'], handshakeTimeout: handshakeMs })
  secure.on('secureConnection', read)
  secure.on('tlsClientError', (_, socket) => socket.destroy())
  const unwrap = (socket: Socket): void => {
    // As a TLS server has it: an HTTP server's half-open sockets would outlive a handshake that was broken off.
    socket.allowHalfOpen = false
    // Paused still: TLS takes what was read from the socket by itself, and a reader's flow would lose it.
    secure.emit('connection', socket)
  }
  const undecided = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    undecided.add(socket)
    decideByFirstByte(socket, (isTls) => {
      undecided.delete(socket)
      if (isTls) return unwrap(socket)
      if (isLoopback(socket.remoteAddress ?? '')) read(socket)
      else refuse(socket)
      socket.resume()
    })
    socket.once('close', () => undecided.delete(socket))
  })
  const here = createTcpServer((socket) => server.emit('connection', socket))
  return {
    renew: (fresh) => secure.setSecureContext({ ...fresh }),
    listenHere: (host, port) => (isEveryAddress(host) || isLoopback(host) ? Promise.resolve() : listen(here, port)),
    close() {
      here.close()
      for (const socket of undecided) socket.destroy()
    },
  }
}

function decideByFirstByte(socket: Socket, decide: (isTls: boolean) => void): void {
  const giveUp = () => socket.destroy()
  socket.on('error', giveUp)
  socket.setTimeout(firstByteMs, giveUp)
  socket.once('data', (bytes: Buffer) => {
    socket.off('error', giveUp)
    socket.off('timeout', giveUp)
    socket.setTimeout(0)
    socket.pause()
    socket.unshift(bytes)
    decide(bytes[0] === handshakeRecord)
  })
}

function refuse(socket: Socket): void {
  socket.on('error', () => socket.destroy())
  const head = `HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${refusal.length}\r\n\r\n`
  socket.setTimeout(handshakeMs, () => socket.destroy())
  socket.end(head + refusal)
}

function listen(server: ReturnType<typeof createTcpServer>, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}
