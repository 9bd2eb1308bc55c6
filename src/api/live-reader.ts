import type { RawData, WebSocket } from 'ws'
import type { Actor } from '../commands/context.ts'
import { type Session, sessionTopic } from '../commands/sessions.ts'
import { Failure } from '../core/failure.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { type LiveMessage, type LiveRequest, liveClose, liveRequest } from '../wire/live.ts'
import type { Door } from './access.ts'
import type { Follower } from './live-audience.ts'
import type { LiveLimits } from './live-limits.ts'
import type { Topics } from './live-topics.ts'
import { iso } from './present-time.ts'
import { refusalOf } from './problem.ts'

export interface ReaderDeps {
  readonly socket: WebSocket
  readonly address: string
  /** Of the session that the page is signed in with. */
  readonly cookie: string | null
  readonly clock: Pick<Clock, 'now'>
  readonly door: Door
  readonly topics: Topics
  readonly limits: LiveLimits
  readonly log: Log
}

// A person follows a handful of things; more than this within a heartbeat is a program gone wild.
const mostRequests = 500
// What a timer of Node can wait at most.
const longestTimerMs = 2_147_483_000
// How long a peer may take to answer our close before its socket is cut.
const closeWithinMs = 1_000
const tooSlow = 'Too slow: too much was waiting to be read. Connect again for a fresh start.'
const standsStill = 'Too slow: what was waiting was not read. Connect again for a fresh start.'

/** One connection: hello first, then topics come and go. */
export class Reader implements Follower {
  readonly #deps: ReaderDeps
  readonly #leaves = new Map<string, () => void>()
  #lateHello: NodeJS.Timeout
  #actor: Actor | null = null
  /** The hello in hand: who sends its first topics right behind it is heard. */
  #greeting: Promise<void> | null = null
  #secret = ''
  #sessionEnd: NodeJS.Timeout | null = null
  #alive = true
  /** Nothing begins any more: what is still looked up for it comes to nothing. */
  #isOver = false
  #waiting: (() => void)[] = []
  #requests = 0

  constructor(deps: ReaderDeps) {
    this.#deps = deps
    const { socket } = deps
    this.#lateHello = this.#awaitHello()
    socket.on('pong', () => {
      this.#alive = true
    })
    socket.on('message', (data) => {
      this.#alive = true
      this.#take(data).catch((error: unknown) => this.#refuse(error))
    })
    // The close that follows says it all.
    socket.on('error', () => undefined)
    socket.on('close', () => this.#forget())
  }

  send(text: string): void {
    const { socket, limits } = this.#deps
    if (socket.readyState !== socket.OPEN) return
    if (socket.bufferedAmount <= limits.bufferedBytes) socket.send(text, () => this.#drained())
    else this.end(liveClose.slowReader, tooSlow, limits.slowCloseMs)
  }

  get hasRoom(): boolean {
    return this.#deps.socket.bufferedAmount < this.#deps.limits.roomBytes
  }

  whenRoom(act: () => void): void {
    this.#waiting.push(act)
    if (this.hasRoom) this.#goOn()
  }

  /** Something that was sent is on its way. */
  #drained(): void {
    if (this.#waiting.length === 0) return
    // Its answer to a ping comes behind all that waits before it; that it reads on says the same.
    this.#alive = true
    if (this.hasRoom) this.#goOn()
  }

  #goOn(): void {
    setImmediate(() => {
      if (this.hasRoom) for (const act of this.#waiting.splice(0)) act()
    })
  }

  end(code: number, reason: string, withinMs = closeWithinMs): void {
    const { socket } = this.#deps
    socket.close(code, reason)
    // Nothing more is sent, so what waits for a reader that never reads on grows no more, and goes with it.
    setTimeout(() => socket.terminate(), withinMs).unref()
    this.#forget()
  }

  /** Asks for a sign of life and looks at the token again; ends who gave none, or may not read any more. */
  checkLife(): void {
    const { socket, limits } = this.#deps
    if (socket.readyState !== socket.OPEN) return
    if (this.#alive) {
      this.#alive = false
      this.#requests = 0
      socket.ping()
      // A script sees no ping: without a word a page would take a connection that died for a quiet one.
      if (this.#actor) this.#tell({ topic: 'alive' })
      if (this.#secret) this.#checkSecret()
    } else if (this.#waiting.length > 0 || socket.bufferedAmount > 0) {
      this.end(liveClose.slowReader, standsStill, limits.slowCloseMs)
    } else socket.terminate()
  }

  /** To be told every topic that the store tells of: sessions may have ended. */
  hear(storeTopic: string): void {
    if (this.#actor && storeTopic === sessionTopic(this.#actor.id)) this.#checkSecret()
  }

  #checkSecret(): void {
    const { door, address } = this.#deps
    door.person(this.#secret, address).catch((error: unknown) => {
      // A database that is away says nothing about the token.
      const isRefused = error instanceof Failure && error.code === 'unauthenticated'
      if (isRefused) this.end(liveClose.unauthenticated, 'The token or the session is not good any more.')
    })
  }

  #endWith(session: Session | null): void {
    if (this.#sessionEnd) clearTimeout(this.#sessionEnd)
    if (!session) return
    const leftMs = Math.min(session.endsAt - this.#deps.clock.now(), longestTimerMs)
    this.#sessionEnd = setTimeout(() => this.#checkSecret(), Math.max(0, leftMs) + 1)
  }

  #forget(): void {
    this.#isOver = true
    clearTimeout(this.#lateHello)
    if (this.#sessionEnd) clearTimeout(this.#sessionEnd)
    for (const leave of this.#leaves.values()) leave()
    this.#leaves.clear()
    this.#waiting = []
  }

  async #take(data: RawData): Promise<void> {
    this.#requests += 1
    if (this.#requests > mostRequests) return this.end(liveClose.slowReader, 'Too many requests on one connection.')
    const request = parsed(data)
    if (request.do === 'hello') {
      this.#greeting = this.#hello(request.token)
      return this.#greeting
    }
    // What went wrong with it has been told where it was awaited first.
    await this.#greeting?.catch(() => undefined)
    if (this.#isOver) return
    if (!this.#actor) return this.end(liveClose.unauthenticated, 'Say hello first.')
    if (request.do === 'follow') return this.#follow(request, this.#actor)
    const key = keyOf(request)
    this.#leaves.get(key)?.()
    this.#leaves.delete(key)
  }

  #awaitHello(): NodeJS.Timeout {
    return setTimeout(() => this.end(liveClose.unauthenticated, 'No hello came.'), this.#deps.limits.helloMs)
  }

  async #hello(token: string | undefined): Promise<void> {
    // It came; how long we take to look the token up is not the reader's fault.
    clearTimeout(this.#lateHello)
    const { socket, door, address, cookie, clock, limits } = this.#deps
    const secret = token ?? cookie
    try {
      if (secret === null) throw new Failure('unauthenticated', 'The hello has no token, and no page of ours sent it.')
      // A session is for the cookie that no script can read, so it comes by that way only.
      const { actor, session } =
        token === undefined
          ? await door.person(secret, address)
          : { actor: await door.tokenOfPerson(token, address), session: null }
      if (this.#isOver) return
      this.#actor = actor
      this.#endWith(session)
    } catch (error) {
      if (this.#isOver) return
      if (error instanceof Failure) return this.end(liveClose.unauthenticated, error.message.slice(0, 120))
      this.#lateHello = this.#awaitHello()
      throw error
    }
    this.#secret = secret
    const { name, role } = this.#actor
    if (socket.readyState === socket.OPEN)
      this.#tell({ topic: 'hello', name, role, now: iso(clock.now()), aliveMs: limits.heartbeatMs })
  }

  async #follow(request: Extract<LiveRequest, { do: 'follow' }>, who: Actor): Promise<void> {
    const { topics, limits } = this.#deps
    const key = keyOf(request)
    if (this.#leaves.has(key)) return
    if (this.#leaves.size >= limits.topics) {
      throw new Failure('bad_request', `No more than ${limits.topics} topics at once.`)
    }
    // Kept before the answer, so that the same topic asked for twice at once is followed once.
    let left = false
    this.#leaves.set(key, () => {
      left = true
    })
    try {
      const leave = await topics.follow(request, who.tenantId, this)
      if (left) leave()
      else this.#leaves.set(key, leave)
    } catch (error) {
      this.#leaves.delete(key)
      throw error
    }
  }

  #refuse(error: unknown): void {
    const { body, unforeseen } = refusalOf(error, '')
    if (unforeseen) this.#deps.log.error({ err: error }, 'a live request failed')
    this.#tell({ topic: 'error', code: body.error.code, message: body.error.cause })
  }

  #tell(message: LiveMessage): void {
    this.send(JSON.stringify(message))
  }
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
