import type { Socket } from 'node:net'
import { Backoff } from '../lib/backoff.ts'
import type { Log } from '../lib/log.ts'
import { callUpgrade } from '../lib/upgrade-call.ts'
import type { RoutedNode } from '../wire/gateway.ts'
import { directPath, reverse } from '../wire/paths.ts'
import type { NodePool } from './pool.ts'
import { admit, type UpgradeDeps } from './upgrade.ts'

type Way = NonNullable<RoutedNode['direct']>

interface Line {
  way: Way
  dialing: number
  /** Monotonic ms; a way that failed is not tried before. */
  retryAt: number
  /** Said once, until it has worked again. */
  told: boolean
  readonly backoff: Backoff
}

// Across an ocean a TLS handshake and an upgrade take well under a second; a packet filter never answers.
const dialLimitMs = 10_000
const firstRetryMs = 1_000
const longestRetryMs = 30_000

/**
 * Calls nodes at the address that their cloud told, where the table has one. Whoever answers there must show a certificate
 * of the install's authority in the node's own name before a word is said. While that fails, requests go
 * over the sockets that the agent lends, as for any other node.
 */
export class DirectDialer {
  readonly #deps: UpgradeDeps
  readonly #log: Log
  readonly #lines = new Map<NodePool, Line>()
  #authority: string | null = null
  #closed = false

  constructor(deps: UpgradeDeps, log: Log) {
    this.#deps = deps
    this.#log = log
  }

  /** The table has changed. */
  apply(authority: string | null): void {
    this.#authority = authority
    this.sweep(performance.now())
  }

  /** Keeps one connection to each such node, so that the first request finds it. */
  sweep(now: number): void {
    if (this.#closed) return
    const { pools } = this.#deps.router
    for (const [pool, line] of this.#lines) if (pools.get(pool.node.id) !== pool) this.#drop(pool, line)
    for (const pool of pools.values()) {
      const line = this.#lineOf(pool)
      if (!line || line.dialing > 0 || now < line.retryAt || pool.directCount > 0) continue
      void this.#dial(pool, line)
    }
  }

  /** No call more; one that is under way comes to nothing. */
  close(): void {
    this.#closed = true
    for (const [pool, line] of this.#lines) this.#drop(pool, line)
  }

  #lineOf(pool: NodePool): Line | null {
    const { direct, order } = pool.node
    const known = this.#lines.get(pool)
    if (!direct || !this.#authority || order !== 'run') {
      if (known) this.#drop(pool, known)
      return null
    }
    if (known?.way.address === direct.address && known.way.token === direct.token) return known
    const line: Line = {
      way: direct,
      dialing: 0,
      retryAt: 0,
      told: false,
      backoff: new Backoff(firstRetryMs, longestRetryMs),
    }
    this.#lines.set(pool, line)
    return line
  }

  #drop(pool: NodePool, line: Line): void {
    if (this.#lines.get(pool) === line) this.#lines.delete(pool)
    pool.dialMore = null
  }

  async #dial(pool: NodePool, line: Line): Promise<void> {
    line.dialing += 1
    try {
      const { socket, incarnation } = await call(pool.node.name, line.way, String(this.#authority))
      await this.#take(pool, socket, incarnation)
      line.backoff.reset()
      line.told = false
      pool.dialMore = (count) => {
        for (let i = 0; i < count; i++) void this.#dial(pool, line)
      }
    } catch (error) {
      line.retryAt = performance.now() + line.backoff.next()
      pool.dialMore = null
      if (!line.told && !this.#closed) this.#tell(pool, line, error)
      line.told = true
    } finally {
      line.dialing -= 1
    }
  }

  #tell({ node }: NodePool, { way }: Line, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error)
    this.#log.warn(
      { nodeId: node.id, address: way.address, why },
      'A node cannot be called at its address; the sockets that it lends are used.',
    )
  }

  /** Whose connection it is is judged as for one that the agent dialled. */
  async #take(pool: NodePool, socket: Socket, incarnation: string): Promise<void> {
    const ignore = () => socket.destroy()
    socket.on('error', ignore)
    const verdict = await admit(this.#deps, pool.node, incarnation)
    if (verdict !== pool || this.#closed) {
      socket.destroy()
      throw new Error(typeof verdict === 'string' ? `the connection was not taken: ${verdict}` : 'the node is gone')
    }
    if (socket.destroyed) throw new Error('the connection was closed at once')
    pool.add(socket, true)
    socket.off('error', ignore)
    this.#deps.joined(pool)
  }
}

async function call(machine: string, { address, token }: Way, authority: string) {
  const headers = { connection: 'Upgrade', upgrade: reverse.protocol, authorization: `Bearer ${token}` }
  // The certificate names the machine: an address may be given to somebody else's the minute after.
  const trust = { ca: authority, servername: machine }
  const { socket, headers: answered } = await callUpgrade(
    new URL(directPath, `https://${address}`),
    { ...trust, headers },
    dialLimitMs,
  )
  const incarnation = answered[reverse.incarnationHeader]
  if (typeof incarnation === 'string') return { socket, incarnation }
  socket.destroy()
  throw new Error('the agent does not say which one it is')
}
