import { type Announced, type Asking, type Question, unexpected } from './metadata.ts'

export const gcpMetadataUrl = 'http://metadata.google.internal'

// The service holds a question open until the answer changes, for as long as it is asked to. Not for long: over a connection
// that died nothing would be heard until the question is given up.
const hangS = 4
const slackMs = 1_000
// Between two questions nobody listens, but the next one is answered at once where something changed. A service that
// does not hold the question is asked no faster than this.
const waitMs = 1_000
// The first answer is waited for like any other service's.
const firstTimeoutMs = 5_000

const instance = '/computeMetadata/v1/instance'

/** What each value announces, and how long before. A spot machine has up to 30 s, a machine with GPUs an hour. */
const announcements: Readonly<Record<string, { kind: Announced['kind']; leftMs: number } | null>> = {
  FALSE: null,
  TRUE: { kind: 'reclaim', leftMs: 30_000 },
  NONE: null,
  // A machine that moves alive serves on.
  MIGRATE_ON_HOST_MAINTENANCE: null,
  TERMINATE_ON_HOST_MAINTENANCE: { kind: 'maintenance', leftMs: 3_600_000 },
}

/** Preemption and host maintenance of Compute Engine. Maintenance is announced only to those who have asked before. */
export const gcpQuestions = (metadata: Asking, now: () => number): readonly Question[] => [
  new Key(metadata, now, `${instance}/preempted`),
  new Key(metadata, now, `${instance}/maintenance-event`),
]

const actions: Readonly<Record<string, string>> = { TRUE: 'preempted' }

class Key implements Question {
  readonly waitMs = waitMs
  readonly #metadata: Asking
  readonly #now: () => number
  readonly #path: string
  #etag: string | null = null
  /** The service names no time, so the first sight of a value is taken for it. */
  #since: { readonly value: string; readonly at: number } | null = null

  constructor(metadata: Asking, now: () => number, path: string) {
    this.#metadata = metadata
    this.#now = now
    this.#path = path
  }

  async ask(): Promise<Announced | null> {
    const hang = this.#etag === null ? '' : `?wait_for_change=true&timeout_sec=${hangS}&last_etag=${this.#etag}`
    const answer = await this.#metadata.ask({
      path: this.#path + hang,
      headers: { 'metadata-flavor': 'Google' },
      timeoutMs: this.#etag === null ? firstTimeoutMs : hangS * 1_000 + slackMs,
    })
    const value = answer.text.trim()
    const announced = announcements[value]
    if (answer.status !== 200 || announced === undefined) throw unexpected(this.#path, answer)
    this.#etag = String(answer.headers['etag'] ?? '') || null
    if (this.#since?.value !== value) this.#since = { value, at: this.#now() }
    return announced
      ? { kind: announced.kind, action: actions[value] ?? value, at: this.#since.at + announced.leftMs }
      : null
  }
}
