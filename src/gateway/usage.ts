import type { UsageRow } from '../wire/gateway.ts'

/** One finished request, as it is accounted for. */
export interface Spent {
  readonly keyId: string
  readonly nodeId: string
  readonly model: string
  readonly outcome: 'ok' | 'failed' | 'aborted'
  readonly promptTokens: number
  readonly completionTokens: number
  readonly estimated: boolean
  readonly durationMs: number
  /** Of a stream that began; else null. */
  readonly firstTokenMs: number | null
}

export const rowKey = (row: Pick<UsageRow, 'minute' | 'keyId' | 'nodeId' | 'model'>): string =>
  `${row.minute}\n${row.keyId}\n${row.nodeId}\n${row.model}`

/** Adds `row` to the one of the same minute, key, node and model. */
export function addRow(rows: Map<string, UsageRow>, row: UsageRow) {
  const key = rowKey(row)
  const old = rows.get(key)
  if (!old) {
    rows.set(key, { ...row })
    return
  }
  old.requests += row.requests
  old.failedRequests += row.failedRequests
  old.abortedRequests += row.abortedRequests
  old.promptTokens += row.promptTokens
  old.completionTokens += row.completionTokens
  old.estimatedTokens += row.estimatedTokens
  old.durationMs += row.durationMs
  old.streams += row.streams
  old.firstTokenMs += row.firstTokenMs
}

/** Sums finished requests until the journal takes them. */
export class UsageTally {
  #rows = new Map<string, UsageRow>()
  #minute = ''
  #minuteEnds = 0
  #last: UsageRow | null = null

  /** `now`: epoch ms. */
  add(spent: Spent, now: number) {
    if (now >= this.#minuteEnds || now < this.#minuteEnds - 60_000) {
      const begins = now - (now % 60_000)
      this.#minute = new Date(begins).toISOString()
      this.#minuteEnds = begins + 60_000
    }
    const row = this.#rowOf(spent)
    row.requests += 1
    if (spent.outcome === 'failed') row.failedRequests += 1
    else if (spent.outcome === 'aborted') row.abortedRequests += 1
    row.promptTokens += spent.promptTokens
    row.completionTokens += spent.completionTokens
    if (spent.estimated) row.estimatedTokens += spent.completionTokens
    row.durationMs += Math.max(0, Math.round(spent.durationMs))
    if (spent.firstTokenMs !== null) {
      row.streams += 1
      row.firstTokenMs += Math.max(0, Math.round(spent.firstTokenMs))
    }
  }

  #rowOf(spent: Spent): UsageRow {
    const last = this.#last
    // Mostly the same few come again; building a key for each request costs more than this look.
    if (
      last !== null &&
      last.keyId === spent.keyId &&
      last.nodeId === spent.nodeId &&
      last.model === spent.model &&
      last.minute === this.#minute
    )
      return last
    const fresh = emptyRow(this.#minute, spent)
    const key = rowKey(fresh)
    const row = this.#rows.get(key) ?? fresh
    this.#rows.set(key, row)
    this.#last = row
    return row
  }

  /** All rows since the last take. */
  take(): UsageRow[] {
    if (this.#rows.size === 0) return []
    const rows = [...this.#rows.values()]
    this.#rows = new Map()
    this.#last = null
    return rows
  }
}

function emptyRow(minute: string, { keyId, nodeId, model }: Spent): UsageRow {
  return {
    minute,
    keyId,
    nodeId,
    model,
    requests: 0,
    failedRequests: 0,
    abortedRequests: 0,
    promptTokens: 0,
    completionTokens: 0,
    estimatedTokens: 0,
    durationMs: 0,
    streams: 0,
    firstTokenMs: 0,
  }
}
