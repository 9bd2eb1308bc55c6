/** The time of the control plane, whatever this machine's own clock says. */
export interface ServerClock {
  /** Epoch ms by the server's clock. */
  now(): number
  /** The server said that it was `serverMs`, give or take `withinMs`, at this moment. The surest word counts. */
  learn(serverMs: number, withinMs: number): void
}

// Crystals drift by some 50 ppm: 30 ms in ten minutes, less than what a new word is uncertain by.
const wordIsGoodForMs = 600_000

/** `elapsed` runs evenly and is not set by anybody, unlike the time of day. */
export function makeServerClock(elapsed: () => number, timeOfDay: () => number): ServerClock {
  let best = { offset: timeOfDay() - elapsed(), withinMs: Number.POSITIVE_INFINITY, at: elapsed() }
  return {
    now: () => elapsed() + best.offset,
    learn(serverMs, withinMs) {
      const at = elapsed()
      const offset = serverMs - at
      const isOld = at - best.at > wordIsGoodForMs
      // A machine that slept counted nothing meanwhile, and then every new word disagrees with the old ones.
      const disagrees = Math.abs(offset - best.offset) > withinMs + best.withinMs
      if (withinMs <= best.withinMs || isOld || disagrees) best = { offset, withinMs, at }
    },
  }
}

export const serverClock = makeServerClock(
  () => performance.now(),
  () => Date.now(),
)
