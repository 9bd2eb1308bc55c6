import { setTimeout as pause } from 'node:timers/promises'
import { type LiveMessage, type LiveRequest, liveClose, livePath } from '../wire/live.ts'
import type { Connection } from './connection.ts'

export type FeedEvent =
  | { readonly kind: 'open' }
  | { readonly kind: 'message'; readonly message: LiveMessage }
  /** Nothing came for a while: quiet, or dead without a word. Who cares asks over HTTP. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'lost'; readonly why: string; readonly lostForMs: number }
  | { readonly kind: 'refused'; readonly why: string }

export interface Feed {
  readonly events: AsyncIterable<FeedEvent>
  /** Follows a topic now, and again after every reconnection. */
  follow(request: LiveRequest): void
  /** Gives the present socket up, as if it had been lost. */
  drop(why: string): void
}

export interface FeedOptions extends Connection {
  readonly signal: AbortSignal
  readonly silentMs?: number
  readonly firstWaitMs?: number
}

const longestWaitMs = 5_000

/** Live updates over one socket that comes back by itself, with growing pauses. Ends when the signal aborts. */
export function openFeed({ url, token, signal, silentMs = 10_000, firstWaitMs = 250 }: FeedOptions): Feed {
  const followed: LiveRequest[] = []
  let link: Link | null = null

  async function* events(): AsyncGenerator<FeedEvent> {
    let lostAt: number | null = null
    for (let failures = 0; !signal.aborted; failures++) {
      link = openLink(`${url.replace(/^http/, 'ws')}${livePath}`, token, followed, signal)
      for (;;) {
        const event = await link.next(silentMs)
        if (event.kind === 'open') failures = 0
        // Only news proves a line: one that opens and is given up again has never been good.
        if (event.kind === 'message' && event.message.topic !== 'error') lostAt = null
        if (event.kind !== 'closed') yield event
        else if (signal.aborted) return
        else if (event.refused) return yield { kind: 'refused', why: event.why }
        else {
          lostAt ??= performance.now()
          yield { kind: 'lost', why: event.why, lostForMs: performance.now() - lostAt }
          break
        }
      }
      await quietPause(Math.min(longestWaitMs, firstWaitMs * 2 ** failures) * (0.75 + Math.random() / 2), signal)
    }
  }

  return {
    events: events(),
    follow(request) {
      followed.push(request)
      link?.send(request)
    },
    drop: (why) => link?.drop(why),
  }
}

/** Resolves after `ms`, or early when the signal aborts. */
export function quietPause(ms: number, signal: AbortSignal): Promise<void> {
  // The only rejection is the abort, and whoever waits looks at the signal next.
  return pause(ms, undefined, { signal }).catch(() => undefined)
}

type LinkEvent =
  | Extract<FeedEvent, { kind: 'open' | 'message' | 'silent' }>
  | { readonly kind: 'closed'; readonly why: string; readonly refused: boolean }

interface Link {
  next(silentMs: number): Promise<LinkEvent>
  send(request: LiveRequest): void
  drop(why: string): void
}

function openLink(url: string, token: string, followed: readonly LiveRequest[], signal: AbortSignal): Link {
  const { push, next } = mailbox()
  const socket = new WebSocket(url)
  let greeted = false
  const send = (request: LiveRequest) => socket.send(JSON.stringify(request))
  const abort = () => close(socket, push, 'it was aborted')
  signal.addEventListener('abort', abort, { once: true })
  socket.onopen = () => send({ do: 'hello', token })
  socket.onmessage = ({ data }) => {
    // Not checked against the schema: a newer server may say more than this client knows.
    const message = JSON.parse(String(data)) as LiveMessage
    if (message.topic !== 'hello') return push({ kind: 'message', message })
    greeted = true
    for (const request of followed) send(request)
    push({ kind: 'open' })
  }
  socket.onclose = ({ code, reason }) => {
    signal.removeEventListener('abort', abort)
    const why = reason || (greeted ? 'the connection was cut' : 'no connection')
    push({ kind: 'closed', why, refused: code === liveClose.unauthenticated })
  }
  return { next, send: (request) => greeted && send(request), drop: (why) => close(socket, push, why) }
}

/** A dead peer never answers a close, so the end is told here and now. */
function close(socket: WebSocket, push: (event: LinkEvent) => void, why: string): void {
  socket.onmessage = null
  socket.onclose = null
  socket.close()
  push({ kind: 'closed', why, refused: false })
}

function mailbox(): { push: (event: LinkEvent) => void; next: Link['next'] } {
  const waiting: LinkEvent[] = []
  let wake: (() => void) | null = null
  const push = (event: LinkEvent) => {
    waiting.push(event)
    wake?.()
  }
  const next = async (silentMs: number): Promise<LinkEvent> => {
    if (waiting.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, silentMs)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      wake = null
    }
    return waiting.shift() ?? { kind: 'silent' }
  }
  return { push, next }
}
