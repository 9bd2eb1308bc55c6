import { pause } from '../../src/lib/clock.ts'
import type { Plane } from './plane.ts'

// An engine is there for much longer, also one that is ended at once.
const betweenLooksMs = 20

/** Looks at the processes of this host over and over, while everything else goes on: what ran at one moment, and for whom. */
export class EngineWatch {
  readonly #plane: Plane
  /** Engines of each machine, as each look found them; equal looks are kept once. */
  readonly #seen = new Map<string, ReadonlyMap<string, number>>()
  readonly #stopped = new AbortController()
  readonly #watching: Promise<void>
  looks = 0

  constructor(plane: Plane) {
    this.#plane = plane
    this.#watching = this.#watch()
  }

  async #watch(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const engines = [...(await this.#plane.running('scripted-engine'))].map(
        ([name, pids]) => [name, pids.length] as const,
      )
      this.#seen.set(JSON.stringify(engines), new Map(engines))
      this.looks += 1
      await pause(betweenLooksMs, this.#stopped.signal)
    }
  }

  /** Ends, and tells the moments at which a slot had more than one engine. Machines are told apart by their slots. */
  async faults(slots: ReadonlyMap<string, string>): Promise<string[]> {
    this.#stopped.abort()
    await this.#watching
    const faults = [...this.#seen.values()].flatMap((engines) => {
      const ofSlot = new Map<string, number>()
      for (const [machine, count] of engines) {
        const slot = slots.get(machine) ?? `nobody's: ${machine}`
        ofSlot.set(slot, (ofSlot.get(slot) ?? 0) + count)
      }
      return [...ofSlot].filter(([, count]) => count > 1).map(([slot, count]) => `${count} engines for ${slot}`)
    })
    return [...new Set(faults)]
  }
}

/** The slot of each machine that the launches ever had; each launch fills one. */
export async function slotsOf(plane: Plane, launchIds: readonly string[]): Promise<Map<string, string>> {
  const launches = await Promise.all(launchIds.map((id) => plane.client.showLaunch({ params: { id } })))
  return new Map(
    launches.flatMap(({ deployment, slot, attempts }) =>
      attempts.map(({ nodeName }) => [nodeName, `${deployment}/${slot}`] as const),
    ),
  )
}
