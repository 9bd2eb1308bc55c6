import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Backoff } from '../lib/backoff.ts'
import { pause } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { type RoutingTable, routingTable } from '../wire/gateway.ts'
import type { ControlClient } from './control.ts'
import { replaceFile } from './files.ts'

export interface TableDeps {
  readonly control: ControlClient
  readonly dir: string
  readonly pollWaitMs: number
  readonly log: Log
  readonly signal: AbortSignal
  apply(table: RoutingTable): void
}

/** How long an upgrade waits for control to confirm the table. */
const freshWaitMs = 2_000

/**
 * Keeps the routing table as control has it, and the last good one on disk. Without control it changes nothing: a node that
 * served a minute ago is a better guess than none.
 */
export class TableFollower {
  readonly #deps: TableDeps
  readonly #file: string
  #version: string | null = null
  #refresh: Promise<void> | null = null
  /** Since when control has not answered: epoch ms, null while it does. */
  awaySince: number | null = null

  constructor(deps: TableDeps) {
    this.#deps = deps
    this.#file = join(deps.dir, 'table.json')
  }

  /** Applies the snapshot, if there is one that can be trusted. */
  async load(): Promise<void> {
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
    if (text === null) return
    const read = routingTable.safeParse(parseJson(text))
    if (!read.success) {
      this.#deps.log.warn({ file: this.#file }, 'The snapshot of the routing table is damaged and is not used.')
      return
    }
    // Not its version: another control plane, after a restore say, may use the same one for something else.
    this.#deps.apply(read.data)
  }

  /** Polls until the signal aborts. */
  async follow(): Promise<void> {
    const { signal, log, pollWaitMs } = this.#deps
    const backoff = new Backoff(250, 10_000)
    while (!signal.aborted) {
      const began = performance.now()
      try {
        await this.#poll(pollWaitMs)
        backoff.reset()
        // A control that answers "nothing new" at once must not be asked in a tight circle.
        if (performance.now() - began < 20) await pause(100, signal)
      } catch (error) {
        if (signal.aborted) return
        if (this.awaySince === null)
          log.warn({ why: String(error) }, 'Control does not answer; the last good table is used.')
        this.awaySince ??= Date.now()
        await pause(backoff.next(), signal)
      }
    }
  }

  /** Resolves when control has confirmed the table after this call, or cannot within two seconds. */
  async fresh(): Promise<void> {
    this.#refresh ??= this.#poll(0)
      .catch((error: unknown) => this.#deps.log.debug({ why: String(error) }, 'The table could not be confirmed.'))
      .finally(() => {
        this.#refresh = null
      })
    await Promise.race([this.#refresh, pause(freshWaitMs)])
  }

  async #poll(waitMs: number): Promise<void> {
    const table = await this.#deps.control.table(this.#version, waitMs)
    if (this.awaySince !== null) this.#deps.log.info('Control answers again.')
    this.awaySince = null
    if (table === null) return
    this.#version = table.version
    this.#deps.apply(table)
    await replaceFile(this.#file, JSON.stringify(table)).catch((error: unknown) =>
      this.#deps.log.error({ err: error }, 'The snapshot of the routing table could not be written.'),
    )
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
