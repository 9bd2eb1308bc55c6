import { Failure } from '../core/failure.ts'
import type { Log } from '../lib/log.ts'
import type { LiveRequest } from '../wire/live.ts'
import { type Audience, audienceOf, type Follower, fleetAudience } from './live-audience.ts'
import { launchFeed, logFeed } from './live-feeds.ts'
import { fleetFeed } from './live-fleet.ts'
import type { LiveDeps, LiveLimits } from './live-limits.ts'
import { changedFeed, deploymentsFeed, launchesFeed, nodeFeed, statusFeed } from './live-more-feeds.ts'

type Follow = Extract<LiveRequest, { do: 'follow' }>

export interface Topics {
  /** Sends the whole topic and then every change, until left. @throws Failure `not_found`. */
  follow(request: Follow, tenantId: string, follower: Follower): Promise<() => void>
  hear(storeTopic: string): void
  close(): void
}

function audienceFor(deps: LiveDeps, request: Follow, tenantId: string): Audience {
  switch (request.topic) {
    case 'launch':
      return audienceOf(launchFeed(deps, tenantId, request.id))
    case 'node':
      return audienceOf(nodeFeed(deps, tenantId, request.id))
    case 'log':
      return audienceOf(logFeed(deps, tenantId, request.id))
    case 'fleet':
      return fleetAudience(fleetFeed(deps, tenantId))
    case 'launches':
      return audienceOf(launchesFeed(deps, tenantId))
    case 'deployments':
      return audienceOf(deploymentsFeed(deps, tenantId))
    case 'status':
      return audienceOf(statusFeed(deps))
    case 'changed':
      return audienceOf(changedFeed())
  }
}

export function makeTopics(deps: LiveDeps, limits: LiveLimits): Topics {
  const topics = new Map<string, Topic>()
  const tick = setInterval(() => {
    for (const topic of topics.values()) topic.tick()
  }, limits.tickMs)
  return {
    async follow(request, tenantId, follower) {
      const key = JSON.stringify([tenantId, request.topic, 'id' in request ? request.id : null])
      const topic = topics.get(key) ?? new Topic(audienceFor(deps, request, tenantId), limits.coalesceMs, deps.log)
      topics.set(key, topic)
      const leave = () => {
        topic.leave(follower)
        if (topic.isIdle) topics.delete(key)
      }
      await topic.join(follower).catch((error: unknown) => {
        leave()
        throw error
      })
      return leave
    },
    hear(storeTopic) {
      for (const topic of topics.values()) topic.hear(storeTopic)
    },
    close() {
      clearInterval(tick)
      for (const topic of topics.values()) topic.close()
      topics.clear()
    },
  }
}

/** When an audience is told. Looks and joins are done one after the other, so nobody misses what lies between. */
class Topic {
  readonly #audience: Audience
  readonly #coalesceMs: number
  readonly #log: Log
  #joining = 0
  #turn: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null
  #lookedAt = Number.NEGATIVE_INFINITY
  #tookMs = 0
  #failed = false
  #closed = false

  constructor(audience: Audience, coalesceMs: number, log: Log) {
    this.#audience = audience
    this.#coalesceMs = coalesceMs
    this.#log = log
  }

  get isIdle(): boolean {
    return this.#audience.size === 0 && this.#joining === 0
  }

  async join(follower: Follower): Promise<void> {
    this.#joining += 1
    try {
      await this.#inTurn(async () => {
        await this.#look()
        this.#audience.welcome(follower)
      })
    } finally {
      this.#joining -= 1
    }
  }

  leave(follower: Follower): void {
    this.#audience.leave(follower)
    if (this.isIdle) this.close()
  }

  hear(storeTopic: string): void {
    const concerned = this.#audience.hears(storeTopic)
    if (concerned || storeTopic === 'gap') this.#soon()
  }

  tick(): void {
    if (this.#failed || this.#audience.movesByItself()) this.#soon()
  }

  close(): void {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
  }

  /**
   * At once when the last look is long enough ago; else as soon as it is, for all that comes meanwhile. What takes long to
   * read is read less often, so that no topic keeps the database busy for more than half of the time.
   */
  #soon(): void {
    if (this.#timer || this.#closed) return
    const restMs = Math.max(this.#coalesceMs, 2 * this.#tookMs)
    const waitMs = Math.max(0, this.#lookedAt + restMs - performance.now())
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#inTurn(() => this.#look()).catch((error: unknown) => {
        // Said once: the next tick tries again, and a database that is away fails every second.
        if (!this.#failed) this.#log.warn({ err: error }, 'a live topic could not be read')
        this.#failed = !(error instanceof Failure)
      })
    }, waitMs)
  }

  async #look(): Promise<void> {
    this.#lookedAt = performance.now()
    await this.#audience.look()
    this.#tookMs = performance.now() - this.#lookedAt
    this.#failed = false
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }
}
