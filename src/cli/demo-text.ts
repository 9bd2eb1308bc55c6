import { humanMs } from '../core/human-time.ts'
import { formatUsd } from '../core/money.ts'
import type { SpendView } from '../wire/spend-view.ts'
import type { NodeDetail } from '../wire/views.ts'
import { msBetween } from './human-time.ts'
import { plainBlock } from './plain-text.ts'
import { table } from './table.ts'
import type { Look } from './terminal.ts'

/** One chat completion as its client saw it. */
export interface Chat {
  readonly text: string
  readonly promptTokens: number
  readonly completionTokens: number
  /** From the request to the first piece of text; null where the answer came whole. */
  readonly firstTokenMs: number | null
  readonly totalMs: number
}

export function chatText(chat: Chat): string {
  const { promptTokens, completionTokens, firstTokenMs, totalMs } = chat
  const first = firstTokenMs === null ? '' : `first token after ${Math.round(firstTokenMs)} ms, `
  return `  ${promptTokens} tokens read, ${completionTokens} written, ${first}${tokensPerSecond(chat)} tokens/s, ${humanMs(totalMs)} in all\n`
}

/** Of the writing alone where it is known when that began. */
export function tokensPerSecond({ completionTokens, firstTokenMs, totalMs }: Chat): number {
  const writingMs = totalMs - (firstTokenMs ?? 0)
  return Math.round((10_000 * completionTokens) / Math.max(1, writingMs)) / 10
}

export const saidText = (text: string): string => `  "${plainBlock(text).replace(/\s+/g, ' ').trim()}"\n`

/** What the node cost, by what each second was for, and what that makes for a million tokens. */
export function billText(node: NodeDetail, spend: SpendView, look: Look): string {
  const lines = table<NodeDetail['ledger'][number]>(
    [
      { title: '  PAID FOR', cell: ({ duty }) => `  ${duty}` },
      {
        title: 'TIME',
        cell: ({ openedAt, closedAt }) => humanMs(msBetween(openedAt, closedAt, Date.now())),
        right: true,
      },
      { title: 'PER HOUR', cell: ({ pricePerHourMicroUsd }) => formatUsd(pricePerHourMicroUsd), right: true },
      { title: 'COST', cell: ({ costMicroUsd }) => formatUsd(costMicroUsd), right: true },
    ],
    node.ledger,
    look,
  )
  const perMillion = spend.perMillionTokensMicroUsd
  const busy = spend.perMillionTokensBusyMicroUsd
  const tokens = spend.promptTokens + spend.completionTokens
  const unit = perMillion === null ? 'no tokens were counted' : `${formatUsd(perMillion)} for a million tokens`
  const withoutIdle = busy === null ? '' : `, ${formatUsd(busy)} without the idle time`
  return `${lines}  ${formatUsd(node.costMicroUsd)} in all; ${tokens} tokens make that ${unit}${withoutIdle}\n`
}
