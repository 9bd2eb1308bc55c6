import type { RawData, WebSocket } from 'ws'
import type { Actor } from '../commands/context.ts'
import { Failure } from '../core/failure.ts'
import type { Log } from '../lib/log.ts'
import { type LiveMessage, type LiveRequest, liveClose, liveRequest } from '../wire/live.ts'
import type { Door } from './access.ts'
import type { LiveLimits } from './live.ts'
import type { Follower, Topics } from './live-topics.ts'
import { refusalOf } from './problem.ts'

export interface Reader extends Follower {
  /** Asks for a sign of life and looks at the token again; ends who gave none, or may not read any more. */
  checkLife(): void
  end(code: number, reason: string): void
}

export interface ReaderDeps {
  readonly socket: WebSocket
  readonly address: string
  readonly door: Door
  readonly topics: Topics
  readonly limits: LiveLimits
  readonly log: Log
}

// A person follows a handful of things; more than this within a heartbeat is a program gone wild.
const mostRequests = 500
// How long a peer may take to answer our close before its socket is cut.
const closeWithinMs = 1_000

/** One connection: hello first, then topics come and go. */
export function makeReader({ socket, address, door, topics, limits, log }: ReaderDeps): Reader {
  let actor: Actor | null = null
  let token = ''
  let alive = true
  let requests = 0
  const leaves = new Map<string, () => void>()
  const lateHello = setTimeout(() => end(liveClose.unauthenticated, 'No hello came.'), limits.helloMs)

  function end(code: number, reason: string): void {
    socket.close(code, reason)
    // A reader that is too slow to read does not read our close either.
    setTimeout(() => socket.terminate(), closeWithinMs).unref()
    forget()
  }

  function forget(): void {
    clearTimeout(lateHello)
    for (const leave of leaves.values()) leave()
    leaves.clear()
  }

  function sendText(text: string): void {
    if (socket.readyState !== socket.OPEN) return
    if (socket.bufferedAmount <= limits.bufferedBytes) socket.send(text)
    else end(liveClose.slowReader, 'Too slow: too much was waiting to be read. Connect again for a fresh start.')
  }

  const send = (message: LiveMessage) => sendText(JSON.stringify(message))

  async function hello(given: string): Promise<void> {
    try {
      actor = await door.person(given, address)
    } catch (error) {
      if (error instanceof Failure) return end(liveClose.unauthenticated, error.message.slice(0, 120))
      throw error
    }
    token = given
    clearTimeout(lateHello)
    send({ topic: 'hello', name: actor.name, role: actor.role })
  }

  async function follow(request: Extract<LiveRequest, { do: 'follow' }>, who: Actor): Promise<void> {
    const key = keyOf(request)
    if (leaves.has(key)) return
    if (leaves.size >= limits.topics) throw new Failure('bad_request', `No more than ${limits.topics} topics at once.`)
    // Kept before the answer, so that the same topic asked for twice at once is followed once.
    let left = false
    leaves.set(key, () => {
      left = true
    })
    try {
      const leave = await topics.follow(request, who.tenantId, reader)
      if (left) leave()
      else leaves.set(key, leave)
    } catch (error) {
      leaves.delete(key)
      throw error
    }
  }

  async function take(data: RawData): Promise<void> {
    requests += 1
    if (requests > mostRequests) return end(liveClose.slowReader, 'Too many requests on one connection.')
    const request = parsed(data)
    if (request.do === 'hello') return hello(request.token)
    if (!actor) return end(liveClose.unauthenticated, 'Say hello first.')
    if (request.do === 'follow') return follow(request, actor)
    const key = keyOf(request)
    leaves.get(key)?.()
    leaves.delete(key)
  }

  function tellRefusal(error: unknown): void {
    const { body, unforeseen } = refusalOf(error, '')
    if (unforeseen) log.error({ err: error }, 'a live request failed')
    send({ topic: 'error', code: body.error.code, message: body.error.cause })
  }

  const reader: Reader = {
    send: sendText,
    end,
    checkLife() {
      if (!alive) return socket.terminate()
      alive = false
      requests = 0
      socket.ping()
      if (token) {
        door.person(token, address).catch((error: unknown) => {
          // A database that is away says nothing about the token.
          const isRefused = error instanceof Failure && error.code === 'unauthenticated'
          if (isRefused) end(liveClose.unauthenticated, 'The token is not good any more.')
        })
      }
    },
  }
  socket.on('pong', () => {
    alive = true
  })
  socket.on('message', (data) => {
    alive = true
    take(data).catch(tellRefusal)
  })
  // The close that follows says it all.
  socket.on('error', () => undefined)
  socket.on('close', forget)
  return reader
}

function parsed(data: RawData): LiveRequest {
  let value: unknown
  try {
    value = JSON.parse(String(data))
  } catch {
    throw new Failure('bad_request', 'A message is one JSON object.')
  }
  const request = liveRequest.safeParse(value)
  if (request.success) return request.data
  throw new Failure('bad_request', 'A message says hello with a token, or follow or leave with topic and id.')
}

const keyOf = (request: { topic: string; id?: string | undefined }): string => `${request.topic}:${request.id ?? ''}`
