import type { NodePool } from './pool.ts'

// As Envoy's outlier detection has them: failures in a row, the first ejection, the longest, and the share of a pool.
const failuresInARow = 5
const firstEjectionMs = 30_000
const longestEjectionMs = 300_000
const largestShare = 0.1

/** What requests themselves say of a node: one that fails them one after another gets none for a while. */
export class PassiveHealth {
  /** Ejections so far. */
  ejections = 0
  readonly #peers: (pool: NodePool) => readonly NodePool[]
  readonly #suspicious: (pool: NodePool) => void

  /** `peers`: the pools that serve the same model, itself among them. `suspicious`: it should be probed now. */
  constructor(peers: (pool: NodePool) => readonly NodePool[], suspicious: (pool: NodePool) => void) {
    this.#peers = peers
    this.#suspicious = suspicious
  }

  worked(pool: NodePool) {
    pool.failuresInARow = 0
  }

  /** A request met a fault of the node: a broken connection, silence, a status of 500 or more. `now`: monotonic ms. */
  failed(pool: NodePool, now: number) {
    pool.failuresInARow += 1
    this.#suspicious(pool)
    if (pool.failuresInARow < failuresInARow || pool.ejectedUntil !== null) return
    if (!this.#mayEject(pool)) return
    pool.ejectedUntil = now + Math.min(longestEjectionMs, firstEjectionMs * (pool.timesEjected + 1))
    pool.timesEjected += 1
    this.ejections += 1
  }

  /** Called every so often: who has served its time comes back, and has to fail anew to leave. */
  sweep(pools: Iterable<NodePool>, now: number) {
    for (const pool of pools) {
      if (pool.ejectedUntil !== null && now >= pool.ejectedUntil) {
        pool.ejectedUntil = null
        pool.failuresInARow = 0
        pool.quietSince = now
      } else if (pool.timesEjected > 0 && pool.failuresInARow === 0 && now - pool.quietSince >= longestEjectionMs) {
        pool.timesEjected = 0
      }
    }
  }

  /** One of a model may always go, beyond it a tenth; the last that serves never. */
  #mayEject(pool: NodePool): boolean {
    const peers = this.#peers(pool).filter(({ serves }) => serves)
    const out = peers.filter(({ ejectedUntil }) => ejectedUntil !== null).length
    const others = peers.filter((peer) => peer !== pool && peer.ejectedUntil === null && !peer.doubtful)
    return others.length > 0 && out + 1 <= Math.max(1, Math.floor(peers.length * largestShare))
  }
}
