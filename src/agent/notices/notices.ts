import { type Announcement, endsMachine, isSame, type NoticeService, type NoticeWord } from '../../core/notice.ts'
import { type Clock, pause } from '../../lib/clock.ts'
import type { NodeDisk } from '../node-disk.ts'
import { backOff } from '../orders.ts'
import { NoticeWatch } from './watch.ts'

export interface NoticesDeps {
  /** Null: this machine's cloud tells of no end, so nothing is asked. */
  readonly service: NoticeService | null
  readonly metadataUrl: string | null
  readonly clock: Clock
  readonly disk: Pick<NodeDisk, 'wasToldOfSignal' | 'saveToldOfSignal'>
  /** Tells the control plane; false where it did not take it, and is to be told again. */
  readonly send: (word: NoticeWord) => Promise<boolean>
  /** Requests have to leave this machine, or may come back. */
  readonly onChange: () => void
  readonly say: (text: string) => void
}

// Of thirty seconds' notice none should be lost on waiting for a control plane that comes back; the longest is a guess.
const againMs = 500
const longestAgainMs = 5_000

/** Tells what is known of the machine's end, at once and until it was heard; of several changes only the last matters. */
export class Notices {
  readonly #deps: NoticesDeps
  readonly #watch: NoticeWatch | null
  readonly #stop = new AbortController()
  #signalled: { readonly at: number } | null = null
  #last: Announcement | null = null
  #changed = false
  #telling: Promise<void> | null = null
  #acknowledged = false

  constructor(deps: NoticesDeps) {
    const { service, metadataUrl: url, clock, say } = deps
    this.#deps = deps
    const onChange = () => this.#changedTo(this.#current())
    const watched = { url, clock, say, onChange, stop: this.#stop.signal }
    this.#watch = service && new NoticeWatch({ ...watched, service, waitMs: null })
  }

  start(): void {
    this.#watch?.start()
    // The life before this one said that the machine stops; it has not, or we would not be here.
    if (!this.#watch && this.#deps.disk.wasToldOfSignal()) this.#tellSoon()
  }

  stop(): void {
    this.#stop.abort()
  }

  /** Whether requests have to leave. */
  get ending(): boolean {
    return endsMachine(this.#current())
  }

  /** The system ends its processes. Resolves when the control plane has taken it. */
  async signalled(leftMs: number): Promise<void> {
    this.#signalled = { at: this.#deps.clock.monotonicMs() + leftMs }
    this.#deps.disk.saveToldOfSignal(true)
    this.#changedTo(this.#current())
    await this.#telling
  }

  /** No request is in flight any more: the cloud need not wait for the announced time. */
  drained(): void {
    if (this.#acknowledged || !this.ending) return
    this.#acknowledged = true
    void this.#watch?.acknowledge()
  }

  /** A cloud that names the end says more than the signal that comes with it. */
  #current(): Announcement | null {
    const served = this.#watch?.notice ?? null
    if (!this.#signalled || (endsMachine(served) && served.kind === 'reclaim')) return served
    const leftMs = Math.max(0, Math.round(this.#signalled.at - this.#deps.clock.monotonicMs()))
    return { source: 'signal', kind: 'reclaim', action: 'SIGTERM', leftMs }
  }

  #changedTo(notice: Announcement | null): void {
    // Another event is acknowledged on its own.
    if (!isSame(notice, this.#last)) this.#acknowledged = false
    this.#last = notice
    this.#deps.onChange()
    // As long as the service has neither answered nor failed, its silence must not pass for "no notice".
    if (notice !== null || this.#watch === null || this.#watch.answers !== null) this.#tellSoon()
  }

  #tellSoon(): void {
    this.#changed = true
    this.#telling ??= this.#tell()
  }

  async #tell(): Promise<void> {
    const { send, disk } = this.#deps
    const { signal } = this.#stop
    for (let failures = 0; this.#changed && !signal.aborted; ) {
      this.#changed = false
      const word = { serviceAnswers: this.#watch ? this.#watch.answers !== false : null, notice: this.#current() }
      if (await send(word)) {
        failures = 0
        if (word.notice?.source !== 'signal') disk.saveToldOfSignal(false)
        continue
      }
      this.#changed = true
      failures += 1
      await pause(backOff(failures, againMs, longestAgainMs), signal)
    }
    this.#telling = null
  }
}
