import { type Announced, type Asking, parsed, type Question, timeOf, unexpected } from './metadata.ts'

export const azureMetadataUrl = 'http://169.254.169.254'

// Azure recommends to look every second. The first call switches the service on, which may take two minutes.
const waitMs = 1_000
const timeoutMs = 5_000
const firstTimeoutMs = 150_000

const eventsPath = '/metadata/scheduledevents?api-version=2020-07-01'
const namePath = '/metadata/instance/compute?api-version=2021-02-01'
const headers = { metadata: 'true' }

/** What each kind of event is for a machine that serves; a freeze of seconds is nothing that requests must leave for. */
const kinds: Readonly<Record<string, Announced['kind']>> = {
  Preempt: 'reclaim',
  Terminate: 'reclaim',
  Reboot: 'maintenance',
  Redeploy: 'maintenance',
}

interface ScheduledEvent {
  readonly id: string
  readonly type: string
  readonly started: boolean
  readonly notBefore: number | null
  readonly resources: readonly string[]
}

/** Scheduled events of Azure. They are told to every machine of a set, so only those that name this one count. */
export const azureQuestions = (metadata: Asking, now: () => number): readonly Question[] => [
  new ScheduledEvents(metadata, now),
]

class ScheduledEvents implements Question {
  readonly waitMs = waitMs
  readonly #metadata: Asking
  readonly #now: () => number
  #ownName: string | null = null
  #asked = false

  constructor(metadata: Asking, now: () => number) {
    this.#metadata = metadata
    this.#now = now
  }

  async ask(): Promise<Announced | null> {
    const ownName = await this.#readName()
    const answer = await this.#metadata.ask({
      path: eventsPath,
      headers,
      timeoutMs: this.#asked ? timeoutMs : firstTimeoutMs,
    })
    if (answer.status !== 200) throw unexpected(eventsPath, answer)
    this.#asked = true
    const own = readEvents(answer.text).filter(({ type, resources }) => kinds[type] && resources.includes(ownName))
    const [first] = own.sort((a, b) => this.#startOf(a) - this.#startOf(b))
    return first ? this.#announced(first) : null
  }

  #announced(event: ScheduledEvent): Announced {
    const { id, type, resources } = event
    const announced: Announced = { kind: kinds[type] ?? 'maintenance', action: type, at: this.#startOf(event) }
    // Saying yes says it for every machine that the event names.
    return resources.length > 1 ? announced : { ...announced, acknowledge: () => this.#acknowledge(id) }
  }

  /** An event that has started names no time any more. */
  #startOf = ({ started, notBefore }: ScheduledEvent): number => (started ? this.#now() : (notBefore ?? this.#now()))

  async #acknowledge(id: string): Promise<void> {
    const body = JSON.stringify({ StartRequests: [{ EventId: id }] })
    const answer = await this.#metadata.ask({ method: 'POST', path: eventsPath, headers, body, timeoutMs })
    if (answer.status !== 200) throw unexpected(eventsPath, answer)
  }

  async #readName(): Promise<string> {
    if (this.#ownName !== null) return this.#ownName
    const answer = await this.#metadata.ask({ path: namePath, headers, timeoutMs })
    if (answer.status !== 200) throw unexpected(namePath, answer)
    const { name } = parsed(answer.text)
    if (typeof name !== 'string' || name === '') throw unexpected(namePath, answer)
    this.#ownName = name
    return name
  }
}

function readEvents(text: string): ScheduledEvent[] {
  const { Events: events } = parsed(text)
  if (!Array.isArray(events)) throw new Error(`no list of events: ${text.slice(0, 200)}`)
  return events.map((event: Readonly<Record<string, unknown>>) => ({
    id: String(event['EventId'] ?? ''),
    type: String(event['EventType'] ?? ''),
    started: event['EventStatus'] === 'Started',
    notBefore: timeOf(event['NotBefore']),
    resources: Array.isArray(event['Resources']) ? event['Resources'].map(String) : [],
  }))
}
