import { createHash } from 'node:crypto'
import { tokenPrefixes } from '../core/tokens.ts'
import type { RoutedNode, RoutingTable } from '../wire/gateway.ts'
import { type Refusal, refusals } from './openai-error.ts'
import { NodePool, type PoolLimits } from './pool.ts'

export interface RoutedKey {
  readonly id: string
  /** Null: every model. */
  readonly models: ReadonlySet<string> | null
}

export interface ModelCard {
  readonly id: string
  readonly object: 'model'
  readonly created: number
  readonly owned_by: string
}

const maxCachedKeys = 4_096

/** The routing table as the hot path needs it: who may call, which models there are, which nodes serve them. */
export class Router {
  version: string | null = null
  /** Whose table it is. */
  install: string | null = null
  /** By node id: those of the table. */
  readonly pools = new Map<string, NodePool>()
  readonly #limits: PoolLimits
  readonly #random: () => number
  #keys = new Map<string, RoutedKey>()
  #seen = new Map<string, RoutedKey>()
  #cards: ModelCard[] = []
  #models = new Map<string, NodePool[]>()
  #byCredential = new Map<string, RoutedNode>()

  constructor(limits: PoolLimits, random: () => number = Math.random) {
    this.#limits = limits
    this.#random = random
  }

  apply(table: RoutingTable) {
    this.version = table.version
    this.install = table.install
    this.#keys = new Map(
      table.keys.map((key) => [key.hash, { id: key.id, models: key.models === null ? null : new Set(key.models) }]),
    )
    // A revoked key must not live on among the keys that were good once.
    this.#seen = new Map()
    this.#cards = table.models.map(({ id, created, ownedBy }) => ({ id, object: 'model', created, owned_by: ownedBy }))
    this.#models = new Map(table.models.map(({ id }) => [id, []]))
    this.#byCredential = new Map(table.nodes.map((node) => [node.credentialHash, node]))
    const listed = new Set<string>()
    for (const node of table.nodes) {
      listed.add(node.id)
      this.#place(node)
    }
    for (const [id, pool] of this.pools) if (!listed.has(id)) this.#retire(id, pool)
  }

  #place(node: RoutedNode) {
    const pool = this.pools.get(node.id) ?? new NodePool(node, this.#limits)
    pool.node = node
    this.pools.set(node.id, pool)
    const serving = this.#models.get(node.servedName)
    if (serving) serving.push(pool)
    else this.#models.set(node.servedName, [pool])
  }

  /** It is gone, as its cloud said twice. Connections to it may look alive for long, and nothing will come over them. */
  #retire(id: string, pool: NodePool) {
    this.pools.delete(id)
    pool.node = { ...pool.node, routable: false, order: 'end' }
    pool.closeAll('The node is gone.')
  }

  /** The node that a credential's hash belongs to. */
  holder(credentialHash: string): RoutedNode | null {
    return this.#byCredential.get(credentialHash) ?? null
  }

  /** `authorization` as the client sent it. */
  authenticate(authorization: string): RoutedKey | Refusal {
    if (authorization === '') return refusals.noKey()
    const known = this.#seen.get(authorization)
    if (known) return known
    const token = /^bearer +(\S+) *$/i.exec(authorization)?.[1]
    if (!token?.startsWith(tokenPrefixes.key)) return refusals.badKey()
    // What is compared is the hash, so the time that it takes tells nothing about a key.
    const key = this.#keys.get(createHash('sha256').update(token).digest('hex'))
    if (!key) return refusals.badKey()
    if (this.#seen.size >= maxCachedKeys) this.#seen.clear()
    this.#seen.set(authorization, key)
    return key
  }

  /** The refusal for a model, or null when the key may use it. */
  refuseModel(key: RoutedKey, model: string): Refusal | null {
    if (!this.#models.has(model)) return refusals.unknownModel(model)
    return key.models === null || key.models.has(model) ? null : refusals.modelForbidden(model)
  }

  listModels(key: RoutedKey): readonly ModelCard[] {
    const { models } = key
    return models === null ? this.#cards : this.#cards.filter(({ id }) => models.has(id))
  }

  /** Every node of the model that the pool's node serves. */
  peersOf(pool: NodePool): readonly NodePool[] {
    return this.#models.get(pool.node.servedName) ?? []
  }

  /**
   * The node with the least in flight; among equals, chance. One whose own probe failed only if there is no other, and one
   * that was ejected for its failures only after those.
   */
  choose(model: string, tried: readonly NodePool[]): NodePool | null {
    let best: NodePool | null = null
    let ties = 0
    for (const pool of this.#models.get(model) ?? []) {
      if (!pool.serves || (tried.length > 0 && tried.includes(pool))) continue
      const order = best === null ? -1 : compare(pool, best)
      if (order > 0) continue
      ties = order < 0 ? 1 : ties + 1
      if (order < 0 || this.#random() * ties < 1) best = pool
    }
    return best
  }

  /** What is done now and then: surplus spares are closed. */
  tidy(now: number) {
    for (const pool of this.pools.values()) pool.trim(now)
  }
}

function compare(a: NodePool, b: NodePool): number {
  const trouble = troubleOf(a) - troubleOf(b)
  return trouble === 0 ? a.inFlight - b.inFlight : trouble
}

const troubleOf = ({ doubtful, ejectedUntil }: NodePool): number => (ejectedUntil === null ? 0 : 2) + (doubtful ? 1 : 0)
