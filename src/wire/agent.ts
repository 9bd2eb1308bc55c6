// What crosses a socket, one schema for each message. This file: agent and control.
// Deliberately absent: database rows, and any decision about what a message means.
import { z } from 'zod'
import { unsaidAgentProtocol } from '../core/agent-protocol.ts'
import { noticeKinds, noticeServices, noticeSources } from '../core/notice.ts'
import { type Stage, stageNames } from '../core/stage.ts'

const text = (max: number) => z.string().max(max)
const count = z.number().int().min(0)
export const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/)
export const token = z.string().min(16).max(512)

export const failureSchema = z.object({
  code: text(64).regex(/^[a-z][a-z0-9_]*$/),
  fault: z.enum(['caller', 'policy', 'cloud', 'node', 'us']),
  retry: z.enum(['never', 'same', 'elsewhere', 'not_here', 'later']),
  cause: text(4_000),
  remedy: text(2_000),
  evidence: text(8_000).optional(),
  suggestion: z.object({ argument: text(64), value: z.union([text(512), z.number()]) }).optional(),
})

/** A GPU as nvidia-smi tells of it. */
export const gpuSchema = z.object({
  index: count,
  uuid: text(64).nullable().default(null),
  name: text(128),
  memoryMib: count,
  utilizationPercent: z.number().min(0).max(100).nullable(),
  memoryUsedMib: count.nullable(),
  temperatureC: z.number().nullable(),
})
export type Gpu = z.infer<typeof gpuSchema>

/** What went wrong with a GPU since the join. Numbers and sources that a control plane does not know are only shown. */
export const gpuFaultSchema = z.object({
  source: text(32),
  xid: count.nullable(),
  gpu: text(64).nullable(),
  evidence: text(1_000),
})

export const hardwareSchema = z.object({
  hostname: text(255),
  cpus: count,
  memoryMib: count,
  gpus: z.array(gpuSchema).max(64),
  instanceType: text(128).nullable(),
})
export type Hardware = z.infer<typeof hardwareSchema>

const protocol = count.max(1_000_000).default(unsaidAgentProtocol)

/** What is read of a message before the rest of it, and cannot be wrong: who has to be told to renew their agent? */
export const agentAge = z
  .object({ protocol: protocol.catch(unsaidAgentProtocol), agentVersion: text(32).catch('of an unknown version') })
  .catch({ protocol: unsaidAgentProtocol, agentVersion: 'of an unknown version' })

/** `POST /agent/join`, with the join token as bearer. `instance` is made once by the agent and kept on its disk. */
export const joinRequest = z.object({
  protocol,
  instance: text(64).min(8),
  incarnation: text(64).min(8),
  agentVersion: text(32),
  hardware: hardwareSchema,
})
export type JoinRequest = z.infer<typeof joinRequest>

/** What the agent starts: argv words, never a shell line. `{port}` in a word stands for the port that the agent chose. */
export const engineSpec = z.object({
  engine: text(32),
  servedName: text(256),
  argv: z.array(text(4_096)).min(1).max(256),
  env: z.record(text(128), text(8_192)),
  healthPath: text(128),
  /** Restarts after the engine has served; a start that fails is the launch's to retry. */
  maxRestarts: count.max(20),
  /** SIGTERM to SIGKILL when the engine is told to end. */
  stopGraceMs: count,
})
export type EngineSpec = z.infer<typeof engineSpec>

const stage = z.object({
  name: z.enum(stageNames),
  title: text(512),
  keeps: z.enum(['env', 'models']).nullable(),
  exists: text(4_096).nullable(),
  ways: z.array(z.object({ program: text(4_096), commands: z.array(z.array(text(8_192)).max(256)).max(64) })).max(16),
  files: z.record(text(4_096), text(65_536)),
  env: z.record(text(128), text(8_192)),
  measures: z.array(text(4_096)).max(16),
  secrets: z.array(text(128)).max(64),
  needsMib: count,
  limitS: count,
  tries: count.max(20),
})

/** What is put on the machine before its engine starts: see `Stage`. `folder` null: a folder of the node's own. */
export interface Installation {
  readonly folder: string | null
  readonly stages: readonly Stage[]
}
const installation: z.ZodType<Installation> = z.object({
  folder: text(4_096).nullable(),
  stages: z.array(stage).max(32),
})

/** Where to dial. `fingerprint`: of the authority to pin there; null: the machine's own authorities. */
const gateways = z.array(z.object({ id: text(64), url: text(512), fingerprint: sha256Hex.nullable().default(null) }))

/** Of an agent that gateways may call directly: what it listens with, and the SHA-256 of the token that they show. */
const directDoor = z.object({ port: count, cert: text(8_192), key: text(8_192), tokenHash: sha256Hex })
export type DirectDoorTerms = z.infer<typeof directDoor>

export const joinReply = z.object({
  nodeId: text(64),
  credential: token,
  engine: engineSpec,
  /** Null: the machine brings its engine. */
  install: installation.nullable().default(null),
  /** Secrets for the engine's environment (HF_TOKEN, ...): kept in memory and in a file of mode 0600, never logged. */
  secrets: z.record(text(128), text(8_192)),
  gateways,
  direct: directDoor.nullable().default(null),
  heartbeatMs: count,
  leaseMs: count,
  /** The cloud's own service on the machine that tells of its end beforehand; null where there is none. */
  noticeService: z.enum(noticeServices).nullable().default(null),
})
export type JoinReply = z.infer<typeof joinReply>

export const engineStates = ['starting', 'serving', 'failed', 'stopped'] as const

/** `POST /agent/heartbeat`, with the node credential as bearer. `previous` proves a restart on the same disk. */
export const heartbeat = z.object({
  protocol,
  incarnation: text(64).min(8),
  previous: text(64).nullable(),
  agentVersion: text(32),
  engine: z.object({
    state: z.enum(engineStates),
    version: text(64).nullable(),
    restarts: count,
    failure: failureSchema.nullable(),
  }),
  load: z.object({
    inFlight: count,
    /** Time with at least one request in flight, since the agent joined; what is paid beyond it is idle. */
    busyMs: count,
    requests: count,
    spareSockets: count,
    /** Of the engine's own figures, where it has them: requests that wait in it, and how full its KV cache is. */
    waiting: count.nullable().default(null),
    kvPercent: z.number().min(0).max(100).nullable().default(null),
  }),
  gpus: z.array(gpuSchema).max(64),
  gpuFaults: z.array(gpuFaultSchema).max(16).default([]),
  draining: z.boolean(),
  /** True once a drain is done: no request is in flight and none can come in. */
  drained: z.boolean(),
})
export type Heartbeat = z.infer<typeof heartbeat>

/** `POST /agent/notice`: as soon as the machine's end is announced, or that is taken back. */
export const noticeReport = z.object({
  protocol,
  incarnation: text(64).min(8),
  previous: text(64).nullable(),
  /** False while the cloud's service does not answer: nobody would know of a notice. Null: it has none. */
  serviceAnswers: z.boolean().nullable(),
  notice: z
    .object({ source: z.enum(noticeSources), kind: z.enum(noticeKinds), action: text(64), leftMs: count.nullable() })
    .nullable(),
})
export type NoticeReport = z.infer<typeof noticeReport>

export const orders = ['run', 'drain', 'end'] as const

/** The reply to heartbeat, notice and progress. 410 instead of it means: released, end yourself. */
export const agentReply = z.object({
  order: z.enum(orders),
  drainDeadlineMs: count.nullable(),
  gateways,
  heartbeatMs: count,
  leaseMs: count,
})
export type AgentReply = z.infer<typeof agentReply>

/** `POST /agent/progress`: sent as soon as something happens, at most twice a second. */
export const progress = z.object({
  protocol,
  incarnation: text(64).min(8),
  previous: text(64).nullable(),
  /** Phases entered or moved since the last report, oldest first; `agoMs` because clocks of machines disagree. */
  phases: z
    .array(
      z.object({
        phase: text(32),
        percent: z.number().min(0).max(100).nullable(),
        agoMs: count,
        /** Of a phase that fetches: what it has put on the disk, and how fast lately. */
        bytes: count.nullable().default(null),
        bytesPerS: count.nullable().default(null),
      }),
    )
    .max(64),
  /** Lines of the engine's log, and the agent's own with those of installers; numbered from 0 for the life of the node's disk. */
  lines: z.array(z.object({ n: count, source: z.enum(['engine', 'agent']), text: text(4_096) })).max(500),
  /** The engine passed all three checks (health, model listed, one token) this long ago. */
  answeredAgoMs: count.nullable(),
  failure: failureSchema.nullable(),
})
export type ProgressReport = z.infer<typeof progress>
