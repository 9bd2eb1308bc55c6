import type { ColumnType, Generated } from 'kysely'
import type { EngineArguments } from '../core/engine-presets.ts'
import type { FailureRecord } from '../core/failure.ts'
import type { GpuFault } from '../core/gpu-fault.ts'
import type { GuardKind } from '../core/guard.ts'
import type { Said } from '../core/health.ts'
import type { LaunchOutcome, LaunchState } from '../core/launch-table.ts'
import type { Duty } from '../core/ledger.ts'
import type { NodeState } from '../core/node-table.ts'
import type { Notice } from '../core/notice.ts'
import type { Offer, RankedOffer, Wish } from '../core/offer.ts'
import type { Role } from '../core/tokens.ts'
import type { Verdict } from '../core/verdict-table.ts'

/** Epoch ms when read; written as a Date, because the driver writes those without loss. */
export type Time = ColumnType<number, Date, Date>
export type MaybeTime = ColumnType<number | null, Date | null | undefined, Date | null>
/** jsonb: parsed when read, written as text. */
type Json<T> = ColumnType<T, string, string>
type MaybeJson<T> = ColumnType<T | null, string | null | undefined, string | null>
type Maybe<T> = ColumnType<T | null, T | null | undefined, T | null>

export interface Database {
  install: {
    id: string
    created_at: Time
    key_check: string
    paused: Generated<boolean>
    paused_reason: Maybe<string>
    paused_by: Maybe<string>
    sweep_armed: Generated<boolean>
    /** Why releases are held back, what it is, and how long it is not lifted whatever another server saw. */
    guard: Maybe<string>
    guard_kind: Maybe<GuardKind>
    guard_until: MaybeTime
    /** Certificate and key of the install's own authority, sealed. */
    authority: ColumnType<Buffer | null, Buffer | null | undefined, Buffer | null>
  }
  tenants: { id: string; name: string; created_at: Time }
  operators: {
    id: string
    tenant_id: string
    name: string
    role: Role
    token_hash: string
    last4: string
    created_at: Time
    disabled_at: MaybeTime
  }
  sessions: { id: string; value_hash: string; operator_id: string; made_at: Time; seen_at: Time; ends_at: Time }
  api_keys: {
    id: string
    tenant_id: string
    name: string
    key_hash: string
    last4: string
    models: Maybe<string[]>
    created_by: string
    created_at: Time
    revoked_at: MaybeTime
  }
  secrets: { name: string; tenant_id: string; sealed: Buffer; created_at: Time }
  audit: {
    id: Generated<number>
    at: Time
    who: string
    action: string
    target: string
    detail: Json<Record<string, unknown>>
    address: Maybe<string>
    previous_hash: string
    hash: string
  }
  gateways: {
    id: string
    url: string
    fingerprint: Maybe<string>
    started_at: Time
    seen_at: Time
    table_version: Maybe<string>
    open_requests: ColumnType<Readonly<Record<string, number>>, string | undefined, string>
  }
  deployments: {
    id: string
    tenant_id: string
    name: string
    model: string
    engine: string
    engine_args: Json<EngineArguments>
    /** Of a model that the configuration does not name. */
    source: Maybe<string>
    wish: Json<Wish>
    /** Of each of its launches; null: as if nobody had asked. */
    time_limit_s: Maybe<number>
    concurrency: Maybe<number>
    wanted: number
    paused: Generated<boolean>
    failures_in_a_row: Generated<number>
    last_failure_at: MaybeTime
    created_by: string
    idempotency_key: Maybe<string>
    request_hash: Maybe<string>
    created_at: Time
  }
  slots: { id: string; deployment_id: string; ordinal: number }
  launches: {
    id: string
    tenant_id: string
    deployment_id: string
    slot_id: string
    holds_slot: Generated<boolean>
    state: LaunchState
    state_since: Time
    outcome: Maybe<LaunchOutcome>
    origin: 'hand' | 'deployment'
    requested_by: string
    idempotency_key: Maybe<string>
    request_hash: Maybe<string>
    wish: Json<Wish>
    /** As they were asked for; null: nobody did. */
    time_limit_s: Maybe<number>
    concurrency: Maybe<number>
    offers: Json<RankedOffer[]>
    created_at: Time
    /** When its time is up if none of it was spent waiting. */
    deadline_at: Time
    waits_count: Generated<boolean>
    unwanted_at: MaybeTime
    unwanted_outcome: Maybe<'cancelled' | 'ended'>
    unwanted_by: Maybe<string>
    live_at: MaybeTime
    ended_at: MaybeTime
    failure: MaybeJson<FailureRecord>
  }
  nodes: NodesTable
  attempts: {
    id: string
    launch_id: string
    node_id: string
    ordinal: number
    offer: Json<Offer>
    opened_at: Time
    closed_at: MaybeTime
    outcome: Maybe<'served' | 'failed' | 'withdrawn'>
    failure: MaybeJson<FailureRecord>
  }
  phases: {
    attempt_id: string
    phase: string
    started_at: Time
    ended_at: MaybeTime
    percent: Maybe<number>
    bytes: Maybe<number>
    bytes_per_s: Maybe<number>
  }
  steps: { attempt_id: string; n: number; at: Time; text: string }
  signals: {
    node_id: string
    heard_at: MaybeTime
    heartbeat: MaybeJson<Record<string, unknown>>
    in_flight: Generated<number>
    busy_ms: Generated<number>
    requests: Generated<number>
    spare_sockets: Generated<number>
    probe_at: MaybeTime
    probe_good: Maybe<boolean>
    /** The gateway that asked. */
    probe_by: Maybe<string>
    probe_detail: Maybe<string>
  }
  offers: { id: string; cloud: string; data: Json<Offer>; seen_at: Time }
  /** `failure` stands until the cloud says again what it offers. */
  offer_reads: { cloud: string; read_at: MaybeTime; failed_at: MaybeTime; failure: MaybeJson<FailureRecord> }
  looks: { cloud: string; started_at: MaybeTime; finished_at: MaybeTime; error: Maybe<string> }
  sightings: {
    name: string
    cloud: string
    seen: 'present' | 'absent' | 'asked'
    at: Time
    absent_since: MaybeTime
    detail: MaybeJson<Record<string, unknown>>
  }
  orphans: {
    name: string
    cloud: string
    first_seen_at: Time
    last_seen_at: Time
    price_per_hour_micro_usd: Maybe<number>
    released_at: MaybeTime
    gone_at: MaybeTime
  }
  events: {
    id: Generated<number>
    at: Time
    kind: string
    text: string
    launch_id: Maybe<string>
    node_id: Maybe<string>
    deployment_id: Maybe<string>
    data: MaybeJson<Record<string, unknown>>
  }
  log_lines: { node_id: string; n: number; at: Time; source: 'engine' | 'agent'; text: string }
  ledger: {
    id: Generated<number>
    node_id: string
    launch_id: string
    deployment_id: string
    tenant_id: string
    requested_by: string
    cloud: string
    region: string
    instance_type: Maybe<string>
    spot: boolean
    kind: Generated<'usage' | 'correction'>
    duty: Duty
    price_per_hour_micro_usd: number
    opened_at: Time
    closed_at: MaybeTime
    amount_micro_usd: Maybe<number>
    note: Maybe<string>
  }
  usage_minutes: {
    minute: Time
    key_id: string
    node_id: string
    model: string
    requests: number
    failed_requests: number
    aborted_requests: number
    prompt_tokens: number
    completion_tokens: number
    estimated_tokens: number
    duration_ms: number
    streams: Generated<number>
    first_token_ms: Generated<number>
  }
  node_samples: {
    span_s: number
    at: Time
    node_id: string
    in_flight: number
    waiting: Maybe<number>
    kv_percent: Maybe<number>
    gpu_percent: Maybe<number>
    gpu_used_mib: Maybe<number>
  }
  deployment_samples: {
    span_s: number
    at: Time
    deployment_id: string
    wanted: number
    ready: number
    in_flight: number
    waiting: Maybe<number>
  }
  usage_batches: { gateway_id: string; batch: number; at: Time }
  claims: {
    loop: string
    row_id: string
    due_at: Time
    token: Maybe<number>
    until: MaybeTime
    holder: Maybe<string>
    realm: Maybe<string>
  }
  passes: {
    server: string
    loop: string
    at: Time
    took_ms: number
    moved: number
    every_ms: number
    error: Maybe<string>
  }
}

interface NodesTable {
  id: string
  name: string
  tenant_id: string
  launch_id: string
  deployment_id: string
  state: NodeState
  state_since: Time
  cloud: string
  region: string
  offer: Json<Offer>
  price_per_hour_micro_usd: number
  created_at: Time
  asked_at: MaybeTime
  ask_open: Generated<boolean>
  /** The last look that saw the ask in the queue of its cloud's own server. */
  queued_until: MaybeTime
  refusal: MaybeJson<FailureRecord>
  first_seen_at: MaybeTime
  joined_at: MaybeTime
  answered_at: MaybeTime
  ready_at: MaybeTime
  gone_at: MaybeTime
  unwanted_at: MaybeTime
  unwanted_by: Maybe<string>
  drain_asked_at: MaybeTime
  drain_deadline_at: MaybeTime
  drained_at: MaybeTime
  hold_until: MaybeTime
  hold_by: Maybe<string>
  failure: MaybeJson<FailureRecord>
  notice: MaybeJson<Notice>
  notice_service_answers: Maybe<boolean>
  gpu_faults: ColumnType<GpuFault[], string | undefined, string>
  verdict: Generated<Verdict>
  verdict_row: Maybe<string>
  verdict_since: MaybeTime
  signals_judged: MaybeJson<Said['signals']>
  signals_since: MaybeJson<Said['since']>
  replace_asked_at: MaybeTime
  accusations: Generated<number>
  accused_at: MaybeTime
  well_since: MaybeTime
  join_token_hash: string
  join_token_until: Time
  join_used_at: MaybeTime
  join_instance: Maybe<string>
  credential_hash: Maybe<string>
  incarnation: Maybe<string>
  instance_type: Maybe<string>
  spot: boolean
  hostname: Maybe<string>
  gpus: ColumnType<DeliveredGpu[], string | undefined, string>
  cpus: Maybe<number>
  memory_mib: Maybe<number>
  addresses: Generated<string[]>
  agent_version: Maybe<string>
  agent_protocol: Maybe<number>
  engine_version: Maybe<string>
}

/** A GPU as the agent found it; the same shape as the heartbeat tells. */
export interface DeliveredGpu {
  readonly index: number
  /** Not there where an agent of before told of it. */
  readonly uuid?: string | null
  readonly name: string
  readonly memoryMib: number
  readonly utilizationPercent: number | null
  readonly memoryUsedMib: number | null
  readonly temperatureC: number | null
}
