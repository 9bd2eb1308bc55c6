import { z } from 'zod'
import { agentStandings } from '../core/agent-protocol.ts'
import { credentialAnswers } from '../core/credentials.ts'
import { xidActions } from '../core/gpu-fault.ts'
import { guardKinds } from '../core/guard.ts'
import { launchStates } from '../core/launch-table.ts'
import { duties } from '../core/ledger.ts'
import { nodeStates } from '../core/node-table.ts'
import { noticeKinds, noticeSources } from '../core/notice.ts'
import { spotRules } from '../core/offer.ts'
import { phases } from '../core/phases.ts'
import { roles } from '../core/tokens.ts'
import { verdicts } from '../core/verdict-table.ts'
import { failureSchema, gpuFaultSchema, gpuSchema } from './agent.ts'
import { holdChoiceView, holdView } from './hold-view.ts'
import { loopView } from './loop-view.ts'
import { signalsView } from './signals-view.ts'

const text = (max: number) => z.string().max(max)
const id = text(64)
const time = z.iso.datetime()
const microUsd = z.number().int()
const count = z.number().int().min(0)

/** A name that people give: of a deployment, a key, a secret. Plain, so that it is safe in a path, a label and a log. */
export const givenName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'lower case letters, digits, dot, dash and underscore, 63 at most')
/** A model's name: as in the configuration, or as on a hub (`owner/name`). */
export const modelName = z
  .string()
  .regex(/^[A-Za-z0-9][\w.-]{0,95}(\/[\w.-]{1,96})?$/, 'letters, digits, dot, dash, underscore and one slash')

export const offerView = z.object({
  id: text(200),
  cloud: text(32),
  region: text(64),
  gpu: text(64).nullable(),
  gpuCount: count,
  vramGib: z.number().min(0),
  spot: z.boolean(),
  pricePerHourMicroUsd: microUsd,
  available: count.nullable(),
  /** What one attempt at it may take until its engine answers. */
  attemptLimitMs: count.optional(),
  /** The cloud's name of the machine type, where it sells types. */
  instanceType: text(128).optional(),
  /** Of the machine, where that is known. */
  memoryGib: z.number().min(0).optional(),
})

/** What clouds said of the offer lately; `factor`: its price counts as this many times itself when offers are ranked. */
export const rankedOfferView = offerView.extend({
  standing: z
    .object({
      factor: z.number().min(0),
      refusals: count,
      refusedAt: time.nullable(),
      refusedFor: text(64).nullable(),
      gaveAt: time.nullable(),
    })
    .nullable(),
})
export type RankedOfferView = z.infer<typeof rankedOfferView>

/** As a cloud made it: when the cloud last said so; stale: it has not said so for minutes. */
export const offerNow = rankedOfferView.extend({ seenAt: time.nullable(), stale: z.boolean() })
export type OfferNowView = z.infer<typeof offerNow>

/** Whether a cloud says what it offers. Its last good offers are kept while it does not answer. */
export const cloudOffers = z.object({
  cloud: text(32),
  readAt: time.nullable(),
  stale: z.boolean(),
  failedAt: time.nullable(),
  failure: failureSchema.nullable(),
  credentials: z.enum(credentialAnswers),
})
export type CloudOffersView = z.infer<typeof cloudOffers>

export const offersView = z.object({ items: z.array(offerNow), clouds: z.array(cloudOffers) })
export type OffersView = z.infer<typeof offersView>

export const engineArguments = z.record(text(64), z.union([z.string().max(512), z.number(), z.boolean()]))

/** What a launch asks of its machines; each list is in order of preference, and empty means that anything will do. */
export const wishSchema = z
  .object({
    clouds: z.array(text(32)).max(16).default([]),
    regions: z.array(text(64)).max(64).default([]),
    gpus: z.array(text(64)).max(64).default([]),
    gpuCount: count.nullable().default(null),
    spot: z.enum(spotRules).default('allow'),
    maxPricePerHourMicroUsd: microUsd.nullable().default(null),
  })
  .strict()

export const attemptView = z.object({
  id,
  ordinal: count,
  offer: offerView,
  nodeId: id,
  nodeName: text(64),
  nodeState: z.enum(nodeStates),
  openedAt: time,
  closedAt: time.nullable(),
  outcome: z.enum(['served', 'failed', 'withdrawn']).nullable(),
  failure: failureSchema.nullable(),
  seconds: z.number().min(0),
  costMicroUsd: microUsd,
})

export const phaseView = z.object({
  attemptId: id.nullable(),
  phase: z.enum(phases),
  startedAt: time,
  endedAt: time.nullable(),
  percent: z.number().nullable(),
  /** What a phase that fetches something has put on the disk, and how fast: lately, or once it is over on the whole. */
  bytes: count.nullable(),
  bytesPerS: count.nullable(),
})

/** `usualMs`: the median of past launches of that model at that cloud. */
const phaseToComeView = z.object({ phase: z.enum(phases), usualMs: count })

/** What the cloud worked on inside a phase, in its own words. */
export const stepView = z.object({
  attemptId: id,
  phase: z.enum(phases),
  text: text(500),
  startedAt: time,
  endedAt: time.nullable(),
})

export const launchView = z.object({
  id,
  state: z.enum(launchStates),
  stateSince: time,
  deploymentId: id,
  deployment: text(64),
  slot: count,
  model: text(256),
  engine: text(32),
  origin: z.enum(['hand', 'deployment']),
  requestedBy: text(128),
  createdAt: time,
  /** Null while it waits and that does not count. */
  deadlineAt: time.nullable(),
  endedAt: time.nullable(),
  /** Place in the queue, from 1; null once admitted. */
  queuePlace: count.nullable(),
  /** Why it is not its turn yet. */
  waitsFor: text(200).nullable(),
  phase: z.enum(phases),
  percent: z.number().min(0).max(100),
  etaMs: count.nullable(),
  nodeId: id.nullable(),
  failure: failureSchema.nullable(),
  /** Who asked for its end: a person, or `deployment:` and the name of one that needs one less. */
  endAskedBy: text(128).nullable(),
  costMicroUsd: microUsd,
  /** What may be done now, from the state table. */
  actions: z.array(z.enum(['cancel'])),
})
export type LaunchView = z.infer<typeof launchView>

/** What was asked for; null: nobody did. */
const askedView = {
  wish: wishSchema,
  engineArgs: engineArguments,
  timeLimitS: count.nullable(),
  concurrency: count.nullable(),
}

export const launchDetail = launchView.extend({
  ...askedView,
  offers: z.array(rankedOfferView),
  attempts: z.array(attemptView),
  /** As things stand; once none can follow, those that there were. */
  attemptsAtMost: count,
  phases: z.array(phaseView),
  /** Those that follow, where the past knows them; empty once it is live or ends. */
  phasesToCome: z.array(phaseToComeView),
  steps: z.array(stepView),
})
export type LaunchDetail = z.infer<typeof launchDetail>

/** What was announced of a machine's end. `takenAt` null: the cloud names no time. */
const noticeView = z.object({
  source: z.enum(noticeSources),
  kind: z.enum(noticeKinds),
  action: text(64),
  toldAt: time,
  takenAt: time.nullable(),
})

/** `means`, `action`: what the table of docs/gpu-faults.md says of it. `heldBack`: its turn is yet to come. */
const gpuFaultView = gpuFaultSchema.extend({
  means: text(200),
  action: z.enum(xidActions),
  heldBack: z.boolean(),
  toldAt: time,
})

export const nodeView = z.object({
  id,
  name: text(64),
  state: z.enum(nodeStates),
  stateSince: time,
  billed: z.enum(['no', 'yes', 'unknown']),
  verdict: z.enum(verdicts),
  verdictRow: text(64).nullable(),
  verdictSince: time.nullable(),
  healthScore: z.number().nullable(),
  statusMessage: text(500),
  launchId: id,
  deploymentId: id,
  deployment: text(64),
  model: text(256),
  engine: text(32),
  offer: offerView,
  instanceType: text(128).nullable(),
  spot: z.boolean(),
  gpus: z.array(gpuSchema),
  agentVersion: text(32).nullable(),
  agentProtocol: count.nullable(),
  agentStanding: z.enum(agentStandings).nullable(),
  engineVersion: text(64).nullable(),
  signals: signalsView,
  inFlight: count,
  createdAt: time,
  firstSeenAt: time.nullable(),
  readyAt: time.nullable(),
  goneAt: time.nullable(),
  leaseUntil: time.nullable(),
  notice: noticeView.nullable(),
  /** Whether the machine's cloud can be asked for notices; null: it has no such service, or was not heard of yet. */
  noticeServiceAnswers: z.boolean().nullable(),
  gpuFaults: z.array(gpuFaultView),
  hold: holdView.nullable(),
  /** Until when requests in flight may take; null while nothing says so. */
  drainUntil: time.nullable(),
  failure: failureSchema.nullable(),
  costMicroUsd: microUsd,
  actions: z.array(z.enum(['drain', 'release', 'hold'])),
})
export type NodeView = z.infer<typeof nodeView>

export const eventView = z.object({
  id: count,
  at: time,
  kind: text(64),
  text: text(4_000),
  nodeId: id.nullable(),
  launchId: id.nullable(),
})
export type EventView = z.infer<typeof eventView>

export const nodeDetail = nodeView.extend({
  addresses: z.array(text(255)),
  hostname: text(255).nullable(),
  /** Empty where it cannot be held, or nobody may. */
  holdChoices: z.array(holdChoiceView),
  ledger: z.array(
    z.object({
      duty: z.enum(duties),
      openedAt: time,
      closedAt: time.nullable(),
      pricePerHourMicroUsd: microUsd,
      costMicroUsd: microUsd,
    }),
  ),
  timeline: z.array(eventView),
})
export type NodeDetail = z.infer<typeof nodeDetail>

export const logLine = z.object({ n: count, at: time, source: z.enum(['engine', 'agent']), text: text(4_096) })
export type LogLine = z.infer<typeof logLine>

export const deploymentView = z.object({
  id,
  name: text(64),
  model: text(256),
  engine: text(32),
  /** Where the weights lie, of a model that the configuration does not name; else null. */
  source: text(512).nullable(),
  wanted: count,
  ready: count,
  starting: count,
  paused: z.boolean(),
  failuresInARow: count,
  /** Set while refilling has stopped by itself: what happened and how to go on. */
  stopped: text(500).nullable(),
  spentMicroUsd: microUsd,
  createdAt: time,
  /** Of each of its launches. */
  ...askedView,
})
export type DeploymentView = z.infer<typeof deploymentView>

export const keyView = z.object({
  id,
  name: text(64),
  last4: text(4),
  models: z.array(text(256)).nullable(),
  createdBy: text(128),
  createdAt: time,
  revokedAt: time.nullable(),
})
export type KeyView = z.infer<typeof keyView>

export const meView = z.object({
  id,
  name: text(64),
  role: z.enum(roles),
  /** Null for a token. It ends at `endsAt`, or at `idleEndsAt` where nothing is asked until then. */
  session: z.object({ id, endsAt: time, idleEndsAt: time }).nullable(),
})
export type MeView = z.infer<typeof meView>

export const operatorView = z.object({
  id,
  name: text(64),
  role: z.enum(roles),
  last4: text(4),
  createdAt: time,
  disabledAt: time.nullable(),
})
export type OperatorView = z.infer<typeof operatorView>

export const statusView = z.object({
  install: text(32),
  version: text(32),
  paused: z.boolean(),
  pausedReason: text(500).nullable(),
  guard: text(500).nullable(),
  /** The last times that it held, the newest first; `until` is null while it does. */
  guardHolds: z.array(z.object({ guard: z.enum(guardKinds), reason: text(500), since: time, until: time.nullable() })),
  loops: z.array(loopView),
  gateways: z.array(z.object({ id: text(64), url: text(512), seenAt: time, tableCurrent: z.boolean() })),
  /** Clouds that did not answer when they were last asked which machines run, and when they last said so. */
  silentClouds: z.array(z.object({ name: text(64), lookedAt: time.nullable(), problem: text(2_000) })),
  nodes: z.record(z.enum(nodeStates), count),
  /** Those that are not gone, each in one group, and their requests; `wrong`: it needs a look, whatever else it does. */
  fleet: z.object({ wrong: count, starting: count, leaving: count, ready: count, inFlight: count }),
  burnPerHourMicroUsd: microUsd,
  /** Machines with this install's tag that no row knows; released once the sweep is armed. */
  orphans: z.array(
    z.object({
      name: text(64),
      cloud: text(64),
      firstSeenAt: time,
      pricePerHourMicroUsd: microUsd.nullable(),
      releasing: z.boolean(),
    }),
  ),
  /** False on a data set that was just made or restored: orphans are then only shown. */
  sweepArmed: z.boolean(),
  database: z.object({
    kind: z.enum(['embedded', 'given']),
    poolSize: count,
    waitingNow: count,
    longestWaitMs: z.number(),
  }),
})
export type StatusView = z.infer<typeof statusView>

export const auditView = z.object({
  id: count,
  at: time,
  who: text(128),
  action: text(64),
  target: text(256),
  detail: z.record(z.string(), z.unknown()),
  address: text(64).nullable(),
  hash: text(64),
})
export type AuditView = z.infer<typeof auditView>

/** What a cloud said that nobody has seen before: type and text as they came, for a rule and a fixture to be made of. */
export const unknownFailureView = z.object({
  cloud: text(32),
  type: text(200),
  message: text(4_096),
  times: count,
  firstAt: time,
  lastAt: time,
  launchId: id,
})
export type UnknownFailureView = z.infer<typeof unknownFailureView>

/** The one shape of a refusal on the control API. */
export const problem = z.object({
  error: failureSchema.extend({ requestId: text(128), details: z.record(z.string(), z.unknown()) }),
})
export type Problem = z.infer<typeof problem>
