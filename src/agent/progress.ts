import type { ProgressReport } from '../wire/agent.ts'
import type { Size } from './install-meter.ts'
import type { JsonFailure, LogMark } from './node-disk.ts'
import { backOff } from './orders.ts'

type Line = ProgressReport['lines'][number] & { readonly from: number | null }
interface Step {
  readonly phase: string
  readonly percent: number | null
  readonly size: Size | null
  readonly at: number
}
interface Batch {
  readonly steps: Step[]
  readonly lines: Line[]
  /** Lines that had to go before these. */
  readonly dropped: number
  readonly answeredAt: number | null
  readonly failure: JsonFailure | null
}

/** `malformed`: it will never be taken as it is. */
export type Delivery = 'taken' | 'later' | 'malformed'

/** What happened; who tells it is added when it is sent. */
export type Report = Omit<ProgressReport, 'protocol' | 'incarnation' | 'previous'>

export interface ProgressDeps {
  readonly send: (report: Report) => Promise<Delivery>
  readonly monotonicMs: () => number
  readonly mark: LogMark
  readonly saveMark: (mark: LogMark) => void
}

const everyMs = 500
const mostLines = 5_000
const mostSteps = 256
const linesPerReport = 500
// Half of what the control plane takes as one body, with room for what JSON adds.
const charsPerReport = 400_000

/** Tells the control plane what happens, in order, as soon as it happens. Never blocks, never grows without bound. */
export class Progress {
  readonly #deps: ProgressDeps
  #steps: Step[] = []
  #lines: Line[] = []
  #answeredAt: number | null = null
  #failure: JsonFailure | null = null
  #sending = new Set<Batch>()
  #nextLine: number
  #readTo: number
  #dropped = 0
  #failures = 0
  #lastSentAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | null = null
  #closed = false

  constructor(deps: ProgressDeps) {
    this.#deps = deps
    this.#nextLine = deps.mark.nextLine
    this.#readTo = deps.mark.offset
  }

  phase(phase: string, percent: number | null, size: Size | null = null): void {
    const step = { phase, percent, size, at: this.#deps.monotonicMs() }
    // The first word on a phase says when it began; of the rest only the latest counts.
    const [before, last] = this.#steps.slice(-2)
    if (before?.phase === phase && last?.phase === phase) this.#steps.pop()
    this.#steps.push(step)
    if (this.#steps.length > mostSteps) this.#steps.shift()
    this.#schedule()
  }

  /** `from` and `to`: where an engine's line lies in its log. */
  line(source: 'engine' | 'agent', text: string, place: { from: number; to: number } | null = null): void {
    this.#lines.push({ n: this.#nextLine++, source, text: text.slice(0, 4_096), from: place?.from ?? null })
    if (place) this.#readTo = place.to
    this.#dropOldest()
    this.#schedule()
  }

  answered(at: number): void {
    this.#answeredAt = at
    this.#sendNow()
  }

  failed(failure: JsonFailure): void {
    this.#failure = failure
    this.#sendNow()
  }

  /** The log was cut: its places start anew. */
  logRestarted(): void {
    this.#lines = this.#lines.map((line) => ({ ...line, from: null }))
    this.#readTo = 0
    this.#saveMark()
  }

  /** One last try with whatever is left; the caller bounds the wait. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
    if (!this.#isEmpty()) await this.#send()
  }

  #isEmpty(): boolean {
    return !this.#steps.length && !this.#lines.length && this.#answeredAt === null && this.#failure === null
  }

  #dropOldest(): void {
    const over = this.#lines.length - mostLines
    if (over <= 0) return
    this.#lines.splice(0, over)
    this.#dropped += over
  }

  #schedule(): void {
    if (this.#timer || this.#closed || this.#sending.size > 0) return
    const wait = this.#failures > 0 ? backOff(this.#failures, everyMs, 10_000) : everyMs
    const dueInMs = Math.max(0, this.#lastSentAt + wait - this.#deps.monotonicMs())
    this.#timer = setTimeout(() => void this.#send(), dueInMs)
  }

  /** An answer or a failure overtakes a report that hangs, but no more than one of them at a time. */
  #sendNow(): void {
    if (this.#sending.size < 2 && !this.#closed) void this.#send()
  }

  async #send(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#lastSentAt = this.#deps.monotonicMs()
    const batch = this.#take()
    this.#sending.add(batch)
    // Before it is sent: a number that may have been heard must never stand for another line.
    this.#saveMark()
    const delivery = await this.#deps.send(this.#report(batch))
    this.#sending.delete(batch)
    this.#failures = delivery === 'later' ? this.#failures + 1 : 0
    if (delivery !== 'taken') this.#putBack(batch, delivery)
    this.#saveMark()
    if (!this.#isEmpty()) this.#schedule()
  }

  #take(): Batch {
    let chars = 0
    const fitting = this.#lines.findIndex((line, i) => {
      chars += line.text.length
      return i >= linesPerReport - 1 || chars > charsPerReport
    })
    const lines = this.#lines.splice(0, fitting < 0 ? this.#lines.length : Math.max(1, fitting))
    const batch = {
      steps: this.#steps.splice(0, 64),
      lines,
      dropped: lines.length > 0 ? this.#dropped : 0,
      answeredAt: this.#answeredAt,
      failure: this.#failure,
    }
    this.#dropped -= batch.dropped
    this.#answeredAt = null
    this.#failure = null
    return batch
  }

  #putBack(batch: Batch, delivery: Delivery): void {
    this.#answeredAt ??= batch.answeredAt
    this.#failure ??= batch.failure
    if (delivery === 'malformed') {
      // What cannot be read goes; what must be known stays and is tried alone.
      if (batch.lines.length === 0 && batch.steps.length === 0) [this.#answeredAt, this.#failure] = [null, null]
      return
    }
    this.#steps = [...batch.steps, ...this.#steps].slice(-mostSteps)
    this.#lines = [...batch.lines, ...this.#lines]
    this.#dropped += batch.dropped
    this.#dropOldest()
  }

  #report({ steps, lines, dropped, answeredAt, failure }: Batch): Report {
    const now = this.#deps.monotonicMs()
    const ago = (at: number) => Math.max(0, Math.round(now - at))
    return {
      phases: steps.map(({ phase, percent, size, at }) => {
        return { phase, percent, agoMs: ago(at), bytes: size?.bytes ?? null, bytesPerS: size?.bytesPerS ?? null }
      }),
      lines: [...lossNotice(dropped, lines[0]), ...lines.map(({ n, source, text }) => ({ n, source, text }))],
      answeredAgoMs: answeredAt === null ? null : ago(answeredAt),
      failure,
    }
  }

  /** After a restart the log is read again from the oldest line that nobody has confirmed. */
  #saveMark(): void {
    const open = [...this.#sending].flatMap(({ lines }) => lines).concat(this.#lines)
    const oldest = open.find(({ from }) => from !== null)
    this.#deps.saveMark({ offset: oldest?.from ?? this.#readTo, nextLine: this.#nextLine })
  }
}

/** Stands under the number of the last line that is missing. */
function lossNotice(dropped: number, first: Line | undefined): ProgressReport['lines'] {
  if (dropped === 0 || !first) return []
  const text = `${dropped} lines were dropped here while the control plane was away.`
  return [{ n: Math.max(0, first.n - 1), source: 'agent', text }]
}
