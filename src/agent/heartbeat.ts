import { jitter } from '../lib/chance.ts'
import { backOff } from './orders.ts'

/** `slow`: the control plane answered and does not want us; asking often would only make noise. */
export type Beat = 'heard' | 'again' | 'slow'

const slowMs = 30_000

/** Wait until the next beat. After a lost one the next comes sooner, then more and more slowly up to the interval. */
export function nextBeatMs(beat: Beat, failures: number, everyMs: number): number {
  if (beat === 'heard') return everyMs
  if (beat === 'slow') return Math.max(slowMs, everyMs)
  return Math.min(everyMs, backOff(failures, 500, 10_000))
}

/** Beats by its interval or at once when nudged; never two at a time. */
export class Heart {
  readonly #beat: () => Promise<Beat>
  readonly #everyMs: () => number
  #timer: NodeJS.Timeout | null = null
  #beating = false
  #nudged = false
  #stopped = false
  #failures = 0

  constructor(beat: () => Promise<Beat>, everyMs: () => number) {
    this.#beat = beat
    this.#everyMs = everyMs
  }

  nudge(): void {
    if (this.#stopped) return
    if (this.#beating) this.#nudged = true
    else void this.#run()
  }

  stop(): void {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
  }

  async #run(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#beating = true
    this.#nudged = false
    const beat = await this.#beat()
    this.#beating = false
    this.#failures = beat === 'again' ? this.#failures + 1 : 0
    if (this.#stopped) return
    const wait = this.#nudged ? 0 : nextBeatMs(beat, this.#failures, this.#everyMs()) * jitter(0.1)
    this.#timer = setTimeout(() => void this.#run(), wait)
  }
}
