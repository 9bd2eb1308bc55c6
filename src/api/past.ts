import type { PhasePast } from '../core/phases.ts'
import type { Clock } from '../lib/clock.ts'
import type { Db } from '../store/database.ts'
import { type PastPhase, readPastPhases } from '../store/read-launches.ts'
import type { LaunchScene } from './present-launch.ts'

// Medians move slowly; a launch that has just ended counts half a minute later.
const freshMs = 30_000

export type PastOf = LaunchScene['pastOf']

/** How long phases took before, read at most every half minute, however many views are made. */
export function makePast(db: Db, clock: Clock): () => Promise<PastOf> {
  let readAt = Number.NEGATIVE_INFINITY
  let reading: Promise<PastOf> | null = null
  return () => {
    if (reading && clock.monotonicMs() - readAt < freshMs) return reading
    readAt = clock.monotonicMs()
    const fresh = readPastPhases(db).then(pastOver)
    fresh.catch(() => {
      // The next view asks again.
      if (reading === fresh) reading = null
    })
    reading = fresh
    return fresh
  }
}

const nothing: PhasePast = new Map()

export function pastOver(rows: readonly PastPhase[]): PastOf {
  const byPlace = Map.groupBy(rows, ({ cloud, engine, model }) => placeKey(cloud, engine, model))
  const medians = new Map(
    [...byPlace].map(([key, own]) => [key, new Map(own.map(({ phase, medianMs }) => [phase, medianMs]))]),
  )
  return (cloud, engine, model) => medians.get(placeKey(cloud, engine, model)) ?? nothing
}

const placeKey = (cloud: string | null, engine: string, model: string): string => JSON.stringify([cloud, engine, model])
