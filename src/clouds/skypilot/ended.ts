import type { LookHints } from '../cloud.ts'
import type { SkyApi } from './api.ts'
import type { SkyCluster } from './api-answers.ts'

type Reason = readonly [RegExp, string]

// Events as SkyPilot writes them when a row goes; there is no other trace of why.
const reasons: readonly Reason[] = [
  [/^Cluster was terminated by user/, 'somebody ended it at the SkyPilot API server.'],
  [/^Cluster was autodowned/, 'SkyPilot ended it because it was idle: no job ran on it any more.'],
  [/^All nodes terminated/, 'its cloud took it away, as it does with spot machines, or it failed.'],
]
const unknown = 'SkyPilot does not list it any more and does not say why.'
// An answer may be lost, and an event be written a moment after its row went.
const mostTries = 3
// Long enough for whoever was away to be told.
const rememberMs = 2 * 3_600_000

interface Known {
  readonly hash: string | null
  readonly seenAt: number
  tries: number
  why: string | null
}

/** Who ended the machines whose rows are gone. By the hash of a cluster, for by name nothing is told after its end. */
export class EndedClusters {
  readonly #api: Pick<SkyApi, 'clusterEvents'>
  readonly #known = new Map<string, Known>()

  constructor(api: Pick<SkyApi, 'clusterEvents'>) {
    this.#api = api
  }

  /** Takes what was told of machines that a process before this one had seen: their rows may have gone in between. */
  expect(machines: LookHints['expected'], now: number): void {
    for (const { name, detail } of machines) {
      const { hash } = detail
      if (typeof hash === 'string' && !this.#known.has(name))
        this.#known.set(name, { hash, seenAt: now, tries: 0, why: null })
    }
  }

  /** Takes what a look listed, and tells of those that earlier ones had listed and this one does not. */
  async after(clusters: readonly SkyCluster[], now: number): Promise<{ name: string; why: string }[]> {
    const there = new Set(clusters.map(({ name }) => name))
    for (const { name, hash } of clusters) this.#known.set(name, { hash, seenAt: now, tries: 0, why: null })
    const gone: { name: string; why: string }[] = []
    for (const [name, known] of this.#known) {
      if (now - known.seenAt > rememberMs) this.#known.delete(name)
      else if (!there.has(name)) gone.push({ name, why: await this.#why(known) })
    }
    return gone
  }

  async #why(known: Known): Promise<string> {
    if (known.why === null && known.hash !== null && known.tries < mostTries) {
      known.tries += 1
      // Without an answer the end is as true as with one.
      known.why = reasonIn(await this.#api.clusterEvents(known.hash).catch(() => []))
    }
    return known.why ?? unknown
  }
}

/** The latest event that tells; what stands behind it is of no weight. */
function reasonIn(events: readonly string[]): string | null {
  for (const event of events.toReversed()) {
    const found = reasons.find(([pattern]) => pattern.test(event))
    if (found) return found[1]
  }
  return null
}
