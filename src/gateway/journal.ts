import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomName } from '../lib/chance.ts'
import type { Log } from '../lib/log.ts'
import { type UsageRow, usageRow } from '../wire/gateway.ts'
import { replaceFile } from './files.ts'
import { addRow } from './usage.ts'

/** The first line of the file. */
interface State {
  readonly gateway: string
  /** The number of the next batch. */
  readonly next: number
  /** The batch that was sent, or is about to be, and was not confirmed. */
  readonly batch: Batch | null
  readonly open: readonly UsageRow[]
}

const rowsSchema = usageRow.array()

export interface Batch {
  readonly number: number
  readonly rows: readonly UsageRow[]
}

/** As many rows as one report may carry. */
const maxBatchRows = 5_000
/** Appended lines are folded into the head line past this. */
const foldBytes = 1_048_576

/**
 * Usage that control has not confirmed, on disk. The first line is the whole state, the lines behind it what was added
 * since: killed at any moment, what was appended is there again, and a torn last line is dropped. A batch keeps its
 * number and its rows until control confirms it, so that sending it twice counts once.
 */
export class UsageJournal {
  readonly #file: string
  readonly #maxRows: number
  readonly #log: Log
  readonly #open = new Map<string, UsageRow>()
  gatewayId = `gw-${randomName(12)}`
  /** Requests that were dropped because the journal was full. */
  lost = 0
  #next = 1
  #batch: Batch | null = null
  #handle: FileHandle | null = null
  #size = 0
  #unsynced = false
  /** One write at a time. */
  #queue: Promise<void> = Promise.resolve()

  constructor(dir: string, maxRows: number, log: Log) {
    this.#file = join(dir, 'usage.jsonl')
    this.#maxRows = maxRows
    this.#log = log
  }

  /** Reads what an earlier process left. */
  async load(): Promise<void> {
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    const lines = text.split('\n')
    // The last piece is empty, or a line that was torn when the process died.
    lines.pop()
    const state = readState(parseLine(lines[0] ?? ''))
    if (state) this.#restore(state, lines.slice(1))
    else if (text !== '') await this.#keepDamaged()
    await this.#fold()
  }

  #restore({ gateway, next, batch, open }: State, added: readonly string[]) {
    this.gatewayId = gateway
    this.#next = next
    this.#batch = batch
    for (const row of open) addRow(this.#open, row)
    for (const line of added) {
      const rows = rowsSchema.safeParse(membersOf(parseLine(line)).add)
      if (rows.success) for (const row of rows.data) addRow(this.#open, row)
      else this.#log.warn('A line of the usage journal is damaged and is not counted.')
    }
  }

  /** A person may still read it; under a new gateway id, nothing can be counted twice. */
  async #keepDamaged(): Promise<void> {
    const aside = `${this.#file}.damaged-${Date.now()}`
    this.#log.error({ aside }, 'The usage journal is damaged; it is kept aside and a new one begins.')
    await replaceFile(aside, await readFile(this.#file, 'utf8'))
  }

  /** Appends rows; they survive the end of this process from the moment that it resolves. */
  append(rows: readonly UsageRow[]): Promise<void> {
    if (rows.length === 0) return this.#queue
    for (const row of rows) addRow(this.#open, row)
    const line = `${JSON.stringify({ add: rows })}\n`
    return this.#inTurn(async () => {
      await this.#handle?.write(line)
      this.#size += Buffer.byteLength(line)
      this.#unsynced = true
      if (this.#size > foldBytes || this.#open.size > this.#maxRows) await this.#foldNow()
    })
  }

  /** The batch to send, or null when there is nothing to tell. */
  async batch(): Promise<Batch | null> {
    if (this.#batch === null && this.#open.size > 0) await this.#inTurn(() => this.#cut())
    return this.#batch
  }

  async #cut(): Promise<void> {
    if (this.#batch !== null || this.#open.size === 0) return
    const rows: UsageRow[] = []
    for (const [key, row] of this.#open) {
      if (rows.length >= maxBatchRows) break
      rows.push(row)
      this.#open.delete(key)
    }
    this.#batch = { number: this.#next, rows }
    this.#next += 1
    await this.#foldNow()
  }

  /** Control has the batch. Any other number is an echo of the past. */
  async accepted(number: number | null): Promise<void> {
    if (this.#batch === null || number !== this.#batch.number) return
    this.#batch = null
    await this.#inTurn(() => this.#foldNow())
  }

  /** Makes what was appended survive the end of the machine too. */
  sync(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#unsynced) await this.#handle?.datasync()
      this.#unsynced = false
    })
  }

  async close(): Promise<void> {
    await this.sync()
    await this.#inTurn(async () => {
      await this.#handle?.close()
      this.#handle = null
    })
  }

  #fold(): Promise<void> {
    return this.#inTurn(() => this.#foldNow())
  }

  /** Writes the state as one line in the place of the file. */
  async #foldNow(): Promise<void> {
    this.#dropOldest()
    const state: State = {
      gateway: this.gatewayId,
      next: this.#next,
      batch: this.#batch,
      open: [...this.#open.values()],
    }
    await mkdir(join(this.#file, '..'), { recursive: true })
    await replaceFile(this.#file, `${JSON.stringify(state)}\n`)
    await this.#handle?.close()
    this.#handle = await open(this.#file, 'a')
    // Only what is appended counts: a large state must not be written again for each line.
    this.#size = 0
    this.#unsynced = false
  }

  /** Control is away for so long that not everything can be kept: the oldest minutes go, and we say so. */
  #dropOldest() {
    if (this.#open.size <= this.#maxRows) return
    let dropped = 0
    // Down to nine tenths, so that not every line to come must drop again.
    for (const [key, row] of this.#open) {
      if (this.#open.size <= this.#maxRows * 0.9) break
      this.#open.delete(key)
      dropped += row.requests
    }
    this.lost += dropped
    this.#log.error({ requests: dropped }, 'The usage journal is full: the usage of the oldest requests was dropped.')
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#queue.then(work)
    // A failed write must not stop those behind it; its caller is told through `turn`.
    this.#queue = turn.catch(() => undefined)
    return turn
  }
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {}
}

/** Null when the line is not one that this file writes. */
function readState(line: unknown): State | null {
  const { gateway, next, batch, open } = membersOf(line)
  const { number, rows } = membersOf(batch)
  const openRows = rowsSchema.safeParse(open)
  const batchRows = rowsSchema.safeParse(rows)
  if (typeof gateway !== 'string' || gateway === '' || !Number.isSafeInteger(next) || !openRows.success) return null
  if (batch !== null && !(Number.isSafeInteger(number) && batchRows.success)) return null
  return {
    gateway,
    next: next as number,
    batch: batchRows.success ? { number: number as number, rows: batchRows.data } : null,
    open: openRows.data,
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
