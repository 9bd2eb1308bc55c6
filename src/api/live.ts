import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { liveClose, livePath } from '../wire/live.ts'
import { isEncrypted, isOwnOrigin, makeHostCheck, makeOriginCheck, makeTlsCheck } from './browser.ts'
import { defaultLiveLimits, type LiveDeps, type LiveLimits } from './live-limits.ts'
import { Reader } from './live-reader.ts'
import { makeTopics } from './live-topics.ts'
import { refusalOf } from './problem.ts'
import { makeSessionCookie } from './session-cookie.ts'

export interface Live {
  /** To be told every topic that the store tells of. */
  hear(topic: string): void
  readers(): number
  close(): void
}

const maxMessageBytes = 65_536

/** Live updates: whoever says hello with a token, or is signed in, may follow launches, logs and the fleet. */
export function startLive(deps: LiveDeps, over: Partial<LiveLimits> = {}): Live {
  const limits = { ...defaultLiveLimits, ...over }
  const { server, settings, log } = deps
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: maxMessageBytes })
  const topics = makeTopics(deps, limits)
  const readers = new Set<Reader>()
  const checkHost = makeHostCheck({ ...settings, host: deps.host, publicUrl: deps.publicUrl })
  const originIsAllowed = makeOriginCheck(settings.allowedOrigins)
  const isOverTls = makeTlsCheck(deps.publicUrl)
  const cookies = makeSessionCookie(deps.install)

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const refused = refusalBefore(request)
    if (refused) refuseUpgrade(socket, refused)
    else sockets.handleUpgrade(request, socket, head, (opened) => greet(opened, request))
  }

  function refusalBefore({ url = '', headers, socket }: IncomingMessage): string | null {
    if (url.split('?', 1)[0] !== livePath) return '404 Not Found'
    try {
      checkHost(headers.host, isEncrypted(socket))
    } catch (error) {
      return `${refusalOf(error, '').status} Forbidden`
    }
    if (!originIsAllowed(headers.origin, headers.host)) return '403 Forbidden'
    return readers.size >= limits.readers ? '503 Service Unavailable' : null
  }

  /** Browsers send the cookie whatever page opens the socket: it is good for a page of ours alone. */
  function cookieOf({ headers, socket }: IncomingMessage): string | null {
    return isOwnOrigin(headers) ? cookies.read(headers, isOverTls(headers, socket)) : null
  }

  function greet(socket: WebSocket, request: IncomingMessage): void {
    const address = request.socket.remoteAddress ?? ''
    const cookie = cookieOf(request)
    const reader = new Reader({ socket, address, cookie, door: deps.door, clock: deps.clock, topics, limits, log })
    readers.add(reader)
    socket.once('close', () => readers.delete(reader))
  }

  const heartbeat = setInterval(() => {
    for (const reader of readers) reader.checkLife()
  }, limits.heartbeatMs)
  server.on('upgrade', upgrade)
  return {
    hear(topic) {
      topics.hear(topic)
      for (const reader of readers) reader.hear(topic)
    },
    readers: () => readers.size,
    close() {
      clearInterval(heartbeat)
      topics.close()
      server.off('upgrade', upgrade)
      for (const reader of readers) reader.end(liveClose.goingAway, 'The control plane is stopping; connect again.')
    },
  }
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}
