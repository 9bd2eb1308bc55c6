import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Answer {
  readonly status: number
  readonly text?: string
  readonly headers?: Readonly<Record<string, string>>
}

interface Asked {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** Aborts when whoever asked has gone. */
  readonly gone: AbortSignal
}

/** A cloud's metadata service on loopback: what is common to the three. It answers nothing at all while `silent`. */
export abstract class FakeMetadata {
  readonly #server: Server = createServer((request, response) => void this.#take(request, response))
  readonly asked: string[] = []
  silent = false
  /** Takes the question and never answers it. */
  hangsAt: string | null = null
  /** Said to every question instead of an answer. */
  garbage: Answer | null = null
  url = ''

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    this.asked.push(`${method} ${url}`)
    let body = ''
    for await (const chunk of request) body += String(chunk)
    if (this.silent) {
      request.socket.destroy()
      return
    }
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    const { pathname, searchParams } = new URL(url, this.url)
    if (pathname === this.hangsAt) return
    const asked = { method, path: pathname, query: searchParams, headers, body, gone: gone.signal }
    const answer = this.garbage && method === 'GET' ? this.garbage : await this.answer(asked)
    response.writeHead(answer.status, answer.headers).end(answer.text ?? '')
  }

  protected abstract answer(asked: Asked): Answer | Promise<Answer>
}

const json = (value: object): Answer => ({
  status: 200,
  text: JSON.stringify(value),
  headers: { 'content-type': 'application/json' },
})

/** EC2's IMDSv2. With `slides` the announced time is two minutes from each look, as Amazon's own mock has it. */
export class FakeAwsMetadata extends FakeMetadata {
  action: { action: 'terminate' | 'stop' | 'hibernate'; time: string } | null = null
  rebalance: string | null = null
  slides = false
  /** As to a container that is one hop too far away. */
  refusesTokens = false
  readonly #tokens = new Set<string>()

  /** As when a machine was restored from an image: tokens that were good are not. */
  forgetTokens(): void {
    this.#tokens.clear()
  }

  protected answer({ method, path, headers }: Asked): Answer {
    if (method === 'PUT' && path === '/latest/api/token') {
      if (this.refusesTokens) return { status: 403 }
      const ttl = Number(headers['x-aws-ec2-metadata-token-ttl-seconds'])
      if (!(ttl >= 1 && ttl <= 21_600)) return { status: 400 }
      const token = `token-${this.asked.length}`
      this.#tokens.add(token)
      return { status: 200, text: token }
    }
    if (!this.#tokens.has(String(headers['x-aws-ec2-metadata-token']))) return { status: 401 }
    if (path === '/latest/meta-data/spot/instance-action' && this.action) return json(this.#action(this.action))
    if (path === '/latest/meta-data/events/recommendations/rebalance' && this.rebalance)
      return json({ noticeTime: this.rebalance })
    return { status: 404, text: '<?xml version="1.0" encoding="iso-8859-1"?><html><body>404</body></html>' }
  }

  #action(action: object): object {
    const inTwoMinutes = new Date(Date.now() + 120_000).toISOString().replace(/\.\d+/, '')
    return this.slides ? { ...action, time: inTwoMinutes } : action
  }
}

type GcpKey = 'preempted' | 'maintenance-event'

/**
 * Compute Engine's: two keys, whose questions may hang until the value changes. Maintenance is announced only where somebody
 * has asked for it since it was last announced.
 */
export class FakeGcpMetadata extends FakeMetadata {
  readonly #values: Record<string, string> = { preempted: 'FALSE', 'maintenance-event': 'NONE' }
  readonly #versions: Record<string, number> = { preempted: 1, 'maintenance-event': 1 }
  readonly #hanging = new Set<() => void>()
  #maintenanceAsked = false
  #hostEvent = false

  set(key: GcpKey, value: string): void {
    if (key === 'maintenance-event' && value !== 'NONE') {
      if (!this.#maintenanceAsked) return
      this.#maintenanceAsked = false
    }
    this.#values[key] = value
    this.#versions[key] = (this.#versions[key] ?? 0) + 1
    this.#wake()
  }

  /** While the host is worked on, every question is answered with 503. */
  setHostEvent(lasts: boolean): void {
    this.#hostEvent = lasts
    this.#wake()
  }

  #wake(): void {
    for (const look of [...this.#hanging]) look()
  }

  protected async answer({ path, query, headers, gone }: Asked): Promise<Answer> {
    const key = path.split('/').at(-1) ?? ''
    if (headers['metadata-flavor'] !== 'Google') return { status: 403 }
    if (!(key in this.#values)) return { status: 404 }
    if (key === 'maintenance-event') this.#maintenanceAsked = true
    const isOld = () => !this.#hostEvent && query.get('last_etag') === this.#etag(key)
    if (query.get('wait_for_change') === 'true')
      await this.#changed(isOld, Number(query.get('timeout_sec')) * 1_000, gone)
    if (this.#hostEvent) return { status: 503 }
    const etag = this.#etag(key)
    return { status: 200, text: this.#values[key] ?? '', headers: { 'metadata-flavor': 'Google', etag } }
  }

  #etag = (key: string): string => `e${this.#versions[key]}`

  #changed(isOld: () => boolean, limitMs: number, gone: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#hanging.delete(look)
        resolve()
      }
      const look = () => {
        if (!isOld()) done()
      }
      const timer = setTimeout(done, limitMs)
      gone.addEventListener('abort', done)
      this.#hanging.add(look)
      look()
    })
  }
}

export interface FakeAzureEvent {
  readonly EventId: string
  readonly EventType: 'Freeze' | 'Reboot' | 'Redeploy' | 'Preempt' | 'Terminate'
  readonly Resources: readonly string[]
  readonly EventStatus: 'Scheduled' | 'Started'
  readonly NotBefore: string
}

/**
 * Azure's: the events of all machines of a set, and their acknowledgement. One that has started names no time any more.
 */
export class FakeAzureMetadata extends FakeMetadata {
  readonly vmName = 'vm-0'
  /** The first question for events switches the service on, and is answered once this has resolved: up to two minutes. */
  switchedOn: Promise<void> | null = null
  readonly acknowledged: string[] = []
  #events: readonly FakeAzureEvent[] = []
  #incarnation = 1

  set(...events: readonly FakeAzureEvent[]): void {
    this.#events = events
    this.#incarnation += 1
  }

  protected async answer({ method, path, query, headers, body }: Asked): Promise<Answer> {
    if (headers['metadata'] !== 'true' || !query.has('api-version')) return { status: 400 }
    if (path === '/metadata/instance/compute') return json({ name: this.vmName, location: 'westeurope' })
    if (path !== '/metadata/scheduledevents') return { status: 404 }
    await this.switchedOn
    if (method === 'POST') return this.#acknowledge(body)
    const events = this.#events.map((event) => ({
      ResourceType: 'VirtualMachine',
      EventSource: 'Platform',
      ...event,
      NotBefore: event.EventStatus === 'Started' ? '' : event.NotBefore,
    }))
    return json({ DocumentIncarnation: this.#incarnation, Events: events })
  }

  /** One that was acknowledged before may be again; what names no event is malformed. */
  #acknowledge(body: string): Answer {
    const { StartRequests: asked } = JSON.parse(body) as { StartRequests?: { EventId?: string }[] }
    const ids = asked?.map(({ EventId }) => EventId ?? '') ?? []
    if (ids.length === 0 || ids.includes('')) return { status: 400 }
    this.acknowledged.push(...ids)
    return { status: 200 }
  }
}
