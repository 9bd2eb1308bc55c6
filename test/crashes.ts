import type { KyselyPlugin, PluginTransformQueryArgs, PluginTransformResultArgs, QueryId } from 'kysely'
import type { Cloud } from '../src/clouds/cloud.ts'
import type { Db } from '../src/store/database.ts'

/** The process dies here: nothing after this line happens. */
export class Crash extends Error {}

export interface CrashPlan {
  /** Which effect, counted from one. */
  readonly at: number
  /** Whether the effect has still happened. */
  readonly when: 'before' | 'after'
  /** Instead of dying after the effect: the process stands still until this resolves. */
  readonly pause?: () => Promise<void>
}

/**
 * Counts every effect of a process, and ends or stops the process at one of them. An effect is a write or a cloud
 * call. Taking a claim is none: dying before it is dying after the pass before it.
 */
export class Crashes {
  readonly #plan: CrashPlan | undefined
  #made = 0
  #fired = false
  /** What was being done at each point, for the message of a test that fails. */
  readonly names: string[] = []

  constructor(plan?: CrashPlan) {
    this.#plan = plan
  }

  get fired(): boolean {
    return this.#fired
  }

  /** So many effects were made. An effect that failed has no "after" to die in, and others may follow it. */
  reached(at: number): boolean {
    return this.#made >= at
  }

  get whereFired(): string {
    return this.#plan ? `${this.#plan.when} effect ${this.#plan.at} (${this.names[this.#plan.at - 1]})` : 'nowhere'
  }

  before(name: string): number {
    this.#made += 1
    this.names.push(name)
    this.#maybe(this.#made, 'before')
    return this.#made
  }

  async after(point: number): Promise<void> {
    this.#maybe(point, 'after')
    if (point !== this.#plan?.at || !this.#plan.pause) return
    this.#fired = true
    await this.#plan.pause()
  }

  async around<T>(name: string, effect: () => Promise<T>): Promise<T> {
    const point = this.before(name)
    const result = await effect()
    await this.after(point)
    return result
  }

  #maybe(point: number, when: CrashPlan['when']): void {
    if (point !== this.#plan?.at || when !== this.#plan.when || this.#plan.pause) return
    this.#fired = true
    throw new Crash(`died ${this.whereFired}`)
  }
}

/** The same database, in which a statement that writes, or a whole transaction, is one effect. Reading is none. */
export function withCrashes(db: Db, crashes: Crashes): Db {
  const watched = db.withPlugin(new CrashPlugin(crashes))
  const transaction = () => ({
    execute: <T>(work: (tx: never) => Promise<T>) =>
      crashes.around('transaction', () => db.transaction().execute((tx) => work(tx as never))),
  })
  return new Proxy(watched, {
    get(target, key) {
      if (key === 'transaction') return transaction
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

class CrashPlugin implements KyselyPlugin {
  readonly #crashes: Crashes
  readonly #points = new WeakMap<QueryId, number>()

  constructor(crashes: Crashes) {
    this.#crashes = crashes
  }

  transformQuery({ node, queryId }: PluginTransformQueryArgs): PluginTransformQueryArgs['node'] {
    const text = node.kind === 'RawNode' ? node.sqlFragments.join('?') : node.kind
    if (!/^\s*select|nextval\('claim_tokens'\)/i.test(text))
      this.#points.set(queryId, this.#crashes.before(text.trim().slice(0, 40)))
    return node
  }

  async transformResult({ result, queryId }: PluginTransformResultArgs): Promise<PluginTransformResultArgs['result']> {
    const point = this.#points.get(queryId)
    if (point !== undefined) await this.#crashes.after(point)
    return result
  }
}

/** The same cloud, in which each call is one effect. */
export function withCrashesInCloud(cloud: Cloud, crashes: Crashes): Cloud {
  return {
    name: cloud.name,
    traits: cloud.traits,
    offers: () => cloud.offers(),
    ensureMachine: (ask) => crashes.around('ensureMachine', () => cloud.ensureMachine(ask)),
    ensureGone: (name) => crashes.around('ensureGone', () => cloud.ensureGone(name)),
    listMachines: (hints) => crashes.around('listMachines', () => cloud.listMachines(hints)),
  }
}
