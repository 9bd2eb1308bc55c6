import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Settings } from '../core/settings.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Store } from '../store/database.ts'
import { liveClose, livePath } from '../wire/live.ts'
import type { Door } from './access.ts'
import { makeHostCheck, makeOriginCheck } from './browser.ts'
import { Reader } from './live-reader.ts'
import { makeTopics } from './live-topics.ts'
import { refusalOf } from './problem.ts'
import type { Views } from './views.ts'

export interface LiveDeps {
  readonly server: Server
  readonly door: Door
  readonly views: Views
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly settings: Settings
  readonly host: string
  readonly publicUrl: string | undefined
}

export interface LiveLimits {
  /** Connections at once. */
  readonly readers: number
  /** Topics that one connection may follow. */
  readonly topics: number
  /** Time to say hello. */
  readonly helloMs: number
  /** A reader is asked for a sign of life this often, and its token is looked at again. */
  readonly heartbeatMs: number
  /** Bytes that wait for a slow reader before it is dropped. */
  readonly bufferedBytes: number
  /** Changes within this time are told as one. */
  readonly coalesceMs: number
  /** What changes by time alone is looked at this often. */
  readonly tickMs: number
}

export const defaultLiveLimits: LiveLimits = {
  readers: 1_000,
  topics: 64,
  helloMs: 5_000,
  heartbeatMs: 20_000,
  bufferedBytes: 1_048_576,
  coalesceMs: 100,
  tickMs: 1_000,
}

export interface Live {
  /** To be told every topic that the store tells of. */
  hear(topic: string): void
  readers(): number
  close(): void
}

const maxMessageBytes = 65_536

/** Live updates: whoever says hello with a token may follow launches, logs and the fleet. */
export function startLive(deps: LiveDeps, over: Partial<LiveLimits> = {}): Live {
  const limits = { ...defaultLiveLimits, ...over }
  const { server, settings, log } = deps
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: maxMessageBytes })
  const topics = makeTopics(deps, limits)
  const readers = new Set<Reader>()
  const checkHost = makeHostCheck({ ...settings, host: deps.host, publicUrl: deps.publicUrl })
  const originIsAllowed = makeOriginCheck(settings.allowedOrigins)

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const refused = refusalBefore(request)
    if (refused) refuseUpgrade(socket, refused)
    else sockets.handleUpgrade(request, socket, head, (opened) => greet(opened, request.socket.remoteAddress ?? ''))
  }

  function refusalBefore({ url = '', headers }: IncomingMessage): string | null {
    if (url.split('?', 1)[0] !== livePath) return '404 Not Found'
    try {
      checkHost(headers.host)
    } catch (error) {
      return `${refusalOf(error, '').status} Forbidden`
    }
    if (!originIsAllowed(headers.origin, headers.host)) return '403 Forbidden'
    return readers.size >= limits.readers ? '503 Service Unavailable' : null
  }

  function greet(socket: WebSocket, address: string): void {
    const reader = new Reader({ socket, address, door: deps.door, topics, limits, log })
    readers.add(reader)
    socket.once('close', () => readers.delete(reader))
  }

  const heartbeat = setInterval(() => {
    for (const reader of readers) reader.checkLife()
  }, limits.heartbeatMs)
  server.on('upgrade', upgrade)
  return {
    hear: (topic) => topics.hear(topic),
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
