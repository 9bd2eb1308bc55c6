import type { Clock } from '../../lib/clock.ts'
import type { SkyApi } from './api.ts'

interface Watched {
  address: string | null
  asking: boolean
  /** Monotonic ms; the question costs the server a process. */
  askAgainAt: number
}

// An address may come minutes after the machine, and seldom changes while it lives. Guesses.
const askAgainMs = 10_000
const knownForMs = 300_000

/** Where gateways call machines: asked of the server in the background, because it may take seconds to answer. */
export class EndpointWatch {
  readonly #api: Pick<SkyApi, 'endpoint'>
  readonly #clock: Clock
  readonly #watched = new Map<string, Watched>()

  constructor(api: Pick<SkyApi, 'endpoint'>, clock: Clock) {
    this.#api = api
    this.#clock = clock
  }

  forget(name: string): void {
    this.#watched.delete(name)
  }

  /** As the cloud told it, by now; asks where it is not known yet, or was told long ago. */
  addressOf(name: string, port: number): string | null {
    const watched = this.#watched.get(name) ?? { address: null, asking: false, askAgainAt: Number.NEGATIVE_INFINITY }
    this.#watched.set(name, watched)
    const now = this.#clock.monotonicMs()
    if (!watched.asking && now >= watched.askAgainAt) {
      watched.asking = true
      watched.askAgainAt = now + askAgainMs
      void this.#ask(name, port, watched)
    }
    return watched.address
  }

  async #ask(name: string, port: number, watched: Watched): Promise<void> {
    // A server that does not know yet refuses; the node lends its sockets until it does.
    const answer = await this.#api.endpoint(name, port).catch(() => null)
    watched.asking = false
    const address = answer === null ? null : asAddress(answer)
    if (address === null) return
    watched.address = address
    watched.askAgainAt = this.#clock.monotonicMs() + knownForMs
  }
}

/** `host:port` and nothing else: read once, by the parser that will be used to call it. */
function asAddress(text: string): string | null {
  const bare = text.replace(/^https?:\/\//, '').replace(/\/$/, '')
  if (!URL.canParse(`https://${bare}`)) return null
  const { host, port, pathname, username, search, hash } = new URL(`https://${bare}`)
  return pathname === '/' && username === '' && search === '' && hash === '' ? `${host}${port ? '' : ':443'}` : null
}
