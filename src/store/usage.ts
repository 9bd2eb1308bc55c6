import { sql } from 'kysely'
import { at, json, type Tx } from './database.ts'

export interface UsageLine {
  readonly minute: string
  readonly keyId: string
  readonly nodeId: string
  readonly model: string
  readonly requests: number
  readonly failedRequests: number
  readonly abortedRequests: number
  readonly promptTokens: number
  readonly completionTokens: number
  readonly estimatedTokens: number
  readonly durationMs: number
  readonly streams: number
  readonly firstTokenMs: number
}

// A gateway repeats only its newest batch; a week is far beyond any outage that is ridden out.
const keepBatchesMs = 7 * 24 * 3_600_000

/** Adds a batch of one gateway's journal; a batch that was counted before is not counted again. */
export async function addUsage(
  tx: Tx,
  gatewayId: string,
  batch: number,
  usage: readonly UsageLine[],
  now: number,
): Promise<void> {
  const { rows } = await sql`insert into usage_batches (gateway_id, batch, at)
    values (${gatewayId}, ${batch}, ${at(now)}) on conflict do nothing returning batch`.execute(tx)
  if (rows.length === 0) return
  if (batch % 1_000 === 0) await sql`delete from usage_batches where at < ${at(now - keepBatchesMs)}`.execute(tx)
  if (usage.length === 0) return
  // Ordered, so that two gateways which report the same minutes do not wait for each other in a circle.
  await sql`insert into usage_minutes as u (minute, key_id, node_id, model, requests, failed_requests, aborted_requests,
      prompt_tokens, completion_tokens, estimated_tokens, duration_ms, streams, first_token_ms)
    select date_trunc('minute', minute), "keyId", "nodeId", model, sum(requests), sum("failedRequests"),
      sum("abortedRequests"), sum("promptTokens"), sum("completionTokens"), sum("estimatedTokens"), sum("durationMs"),
      sum(streams), sum("firstTokenMs")
    from jsonb_to_recordset(${json(usage)}::jsonb) as r (minute timestamptz, "keyId" text, "nodeId" text, model text,
      requests bigint, "failedRequests" bigint, "abortedRequests" bigint, "promptTokens" bigint,
      "completionTokens" bigint, "estimatedTokens" bigint, "durationMs" bigint,
      streams bigint, "firstTokenMs" bigint)
    group by 1, 2, 3, 4 order by 1, 2, 3, 4
    on conflict (minute, key_id, node_id, model) do update set requests = u.requests + excluded.requests,
      failed_requests = u.failed_requests + excluded.failed_requests,
      aborted_requests = u.aborted_requests + excluded.aborted_requests,
      prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
      completion_tokens = u.completion_tokens + excluded.completion_tokens,
      estimated_tokens = u.estimated_tokens + excluded.estimated_tokens,
      duration_ms = u.duration_ms + excluded.duration_ms, streams = u.streams + excluded.streams,
      first_token_ms = u.first_token_ms + excluded.first_token_ms`.execute(tx)
}
