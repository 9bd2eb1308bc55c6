import { completesNothing } from '../core/engine-presets.ts'
import { jitter } from '../lib/chance.ts'
import { ask, NoAnswer } from './ask.ts'
import type { NodePool } from './pool.ts'
import type { Router } from './route.ts'

export interface ProbeTimes {
  readonly probeMs: number
  readonly badProbeMs: number
  readonly probeTimeoutMs: number
  readonly tokenProbeMs: number
  readonly tokenTimeoutMs: number
  /** How long a node may have no connection here before that counts against it. */
  readonly awayMs: number
}

export interface Seen {
  readonly good: boolean
  /** False: there is no connection to ask over, or nobody at its other end. */
  readonly reached: boolean
  readonly detail: string
  readonly tookMs: number
  /** Monotonic ms. */
  readonly at: number
}

interface Subject {
  nextAt: number
  /** Since when no connection of the node is here: monotonic ms; null while there is one. */
  awaySince: number | null
  running: boolean
  routable: boolean
  /** Of the last token that was asked for. */
  tokenAt: number
  /** False once the engine said that it completes nothing: it embeds. */
  generates: boolean
  last: Seen | null
  /** The last one that control took. */
  told: Seen | null
}

/** Asks every engine, over the way that requests take, whether it is well. */
export class Prober {
  readonly #router: Router
  readonly #times: ProbeTimes
  readonly #changed: () => void
  readonly #hangs: (pool: NodePool) => void
  readonly #subjects = new Map<string, Subject>()

  /**
   * `changed`: a node turned good or bad, which control should hear at once. `hangs`: an engine answered nothing in time,
   * and not a byte came for any request meanwhile.
   */
  constructor(router: Router, times: ProbeTimes, changed: () => void, hangs: (pool: NodePool) => void) {
    this.#router = router
    this.#times = times
    this.#changed = changed
    this.#hangs = hangs
  }

  /** Starts what is due. `now`: monotonic ms. */
  sweep(now: number) {
    for (const id of this.#subjects.keys()) if (!this.#router.pools.has(id)) this.#subjects.delete(id)
    for (const pool of this.#router.pools.values()) this.#look(pool, now)
  }

  #look(pool: NodePool, now: number) {
    const subject = this.#subjectOf(pool)
    const becameRoutable = pool.node.routable && !subject.routable
    subject.routable = pool.node.routable
    if (pool.node.order !== 'run' || subject.running) return
    if (pool.sockets.size === 0) return this.#away(subject, now)
    const isBack = subject.awaySince !== null
    subject.awaySince = null
    if (!becameRoutable && !isBack && now < this.#dueAt(pool, subject)) return
    subject.running = true
    void this.#probe(pool, subject, now).finally(() => {
      subject.running = false
    })
  }

  /** Requests wait and not a byte comes: that is slow work, or an engine that hangs. */
  #dueAt(pool: NodePool, { nextAt, last }: Subject): number {
    const { badProbeMs } = this.#times
    const quietSince = Math.max(pool.heardAt, pool.completedAt, pool.busySince, last?.at ?? 0)
    return pool.inFlight > 0 ? Math.min(nextAt, quietSince + badProbeMs) : nextAt
  }

  /** A request met a fault of the node: it is asked at once, and not at its next turn. */
  hurry(pool: NodePool) {
    this.#subjectOf(pool).nextAt = 0
  }

  /**
   * Nothing can be asked of a node that has no connection here. That it stays so is a result of its own, which counts
   * where no other gateway reaches the node either.
   */
  #away(subject: Subject, now: number) {
    if (subject.awaySince === null) subject.nextAt = now + this.#times.awayMs
    subject.awaySince ??= now
    if (now < subject.nextAt) return
    const awayMs = now - subject.awaySince
    this.#unreached(subject, `Its agent has had no connection here for ${Math.round(awayMs / 1_000)} s.`, now)
  }

  /** Nobody answers at the node, in plain words: that is a result without its turn. */
  silent(pool: NodePool, detail: string) {
    if (pool.node.order !== 'run') return
    pool.doubtful = true
    this.#unreached(this.#subjectOf(pool), detail, performance.now())
  }

  #unreached(subject: Subject, detail: string, now: number) {
    const changed = subject.last?.good !== false
    subject.last = { good: false, reached: false, detail, tookMs: 0, at: now }
    subject.nextAt = now + this.#times.badProbeMs
    if (changed) this.#changed()
  }

  #subjectOf(pool: NodePool): Subject {
    const known = this.#subjects.get(pool.node.id)
    if (known) return known
    const fresh = {
      nextAt: 0,
      awaySince: null,
      running: false,
      routable: false,
      tokenAt: Number.NEGATIVE_INFINITY,
      generates: true,
      last: null,
      told: null,
    }
    this.#subjects.set(pool.node.id, fresh)
    return fresh
  }

  async #probe(pool: NodePool, subject: Subject, began: number): Promise<void> {
    const { good, detail, silent } = await this.#questions(pool, subject, began).then(
      (detail) => ({ good: true, detail, silent: false }),
      (error: Error) => ({ good: false, detail: error.message, silent: error instanceof NoAnswer }),
    )
    const at = performance.now()
    const changed = subject.last?.good !== good
    subject.last = { good, reached: true, detail: detail.slice(0, 500), tookMs: Math.round(at - began), at }
    subject.nextAt = at + (good ? this.#times.probeMs : this.#times.badProbeMs) * jitter(0.2)
    pool.doubtful = !good
    if (silent && Math.max(pool.heardAt, pool.completedAt) < began) this.#hangs(pool)
    if (changed) this.#changed()
  }

  /** What was seen, in words; throws what was seen instead of what was expected. */
  async #questions(pool: NodePool, subject: Subject, now: number): Promise<string> {
    const { healthPath, servedName } = pool.node
    const health = await ask(pool, { method: 'GET', path: healthPath }, this.#times.probeTimeoutMs)
    if (health.status !== 200) throw new Error(`GET ${healthPath} answered ${health.status}; 200 was expected.`)
    const models = await ask(pool, { method: 'GET', path: '/v1/models' }, this.#times.probeTimeoutMs)
    if (models.status !== 200) throw new Error(`GET /v1/models answered ${models.status}; 200 was expected.`)
    if (!modelNames(models.body).includes(servedName))
      throw new Error(`GET /v1/models does not list "${servedName}"; it lists: ${modelNames(models.body).join(', ')}.`)
    const idle = now - pool.completedAt >= this.#times.tokenProbeMs
    if (!idle || !subject.generates || now - subject.tokenAt < this.#times.tokenProbeMs)
      return `Healthy, and lists "${servedName}".`
    return this.#token(pool, subject, now)
  }

  async #token(pool: NodePool, subject: Subject, now: number): Promise<string> {
    const { servedName } = pool.node
    const body = JSON.stringify({ model: servedName, prompt: 'Hello', max_tokens: 1, temperature: 0 })
    const token = await ask(pool, { method: 'POST', path: '/v1/completions', body }, this.#times.tokenTimeoutMs)
    if (completesNothing(token.status)) {
      subject.generates = false
      return `Healthy, lists "${servedName}", and does not generate.`
    }
    if (token.status !== 200) throw new Error(`A completion of one token answered ${token.status}; 200 was expected.`)
    subject.tokenAt = now
    return `Healthy, lists "${servedName}", and gave a token.`
  }

  /** The last result of each node, by its id, that control has not taken yet: so many at most. */
  untold(most: number): ReadonlyMap<string, Seen> {
    const untold = new Map<string, Seen>()
    for (const [nodeId, { last, told }] of this.#subjects) {
      if (untold.size >= most) break
      if (last && last !== told) untold.set(nodeId, last)
    }
    return untold
  }

  /** Control took these. */
  told(results: ReadonlyMap<string, Seen>): void {
    for (const [nodeId, seen] of results) {
      const subject = this.#subjects.get(nodeId)
      if (subject) subject.told = seen
    }
  }
}

function modelNames(body: string): string[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch (error) {
    throw new Error('GET /v1/models answered something that is not JSON.', { cause: error })
  }
  const data = (parsed as { data?: unknown } | null)?.data
  if (!Array.isArray(data)) return []
  return data.map((card: unknown) => String((card as { id?: unknown } | null)?.id)).slice(0, 50)
}
