import { z } from 'zod'
import { orders, sha256Hex, token } from './agent.ts'
import { reverse } from './paths.ts'

const text = (max: number) => z.string().max(max)
const count = z.number().int().min(0)

/** One node as the gateways see it: every joined node that is not gone, so that its upgrade can be checked. */
export const routedNode = z.object({
  id: text(64),
  name: text(64),
  /** SHA-256 of the node credential: the gateway never holds the credential. */
  credentialHash: sha256Hex,
  /** The agent's incarnation as control knows it; an upgrade of this one replaces older ones. */
  incarnation: text(64).nullable(),
  servedName: text(256),
  healthPath: text(128),
  /** True for a ready node under a good verdict: it may get requests. */
  routable: z.boolean(),
  order: z.enum(orders),
  /** Where its cloud says that it can be called, and the token for it; null: it calls us. */
  direct: z
    .object({ address: text(300), token })
    .nullable()
    .default(null),
})
export type RoutedNode = z.infer<typeof routedNode>

export const gatewayKey = z.object({
  id: text(64),
  hash: sha256Hex,
  /** Served names that the key may use; null: all. */
  models: z.array(text(256)).nullable(),
})

/** `GET /gateway/table?after=<version>&waitMs=<n>`: held until the version changes, then 200; 204 when the wait is over. */
export const routingTable = z.object({
  /** Changes whenever the content does. */
  version: text(64),
  install: text(32),
  nodes: z.array(routedNode),
  models: z.array(z.object({ id: text(256), created: count, ownedBy: text(64) })),
  keys: z.array(gatewayKey),
  /** In PEM: who signs for nodes that are called directly. */
  authority: text(8_192).nullable().default(null),
})
export type RoutingTable = z.infer<typeof routingTable>

/** Tokens and requests of one minute, one key, one node and one model, as the gateway counted them. */
export const usageRow = z.object({
  minute: z.iso.datetime(),
  keyId: text(64),
  nodeId: text(64),
  model: text(256),
  requests: count,
  failedRequests: count,
  abortedRequests: count,
  promptTokens: count,
  completionTokens: count,
  /** Of the completion tokens: counted from chunks because the engine's own figure never came. */
  estimatedTokens: count,
  durationMs: count,
  /** Of the requests: streams that began, and how long they took to their first token, summed up. */
  streams: count.default(0),
  firstTokenMs: count.default(0),
})
export type UsageRow = z.infer<typeof usageRow>

export const probeResult = z.object({
  nodeId: text(64),
  good: z.boolean(),
  /** False: the gateway has had no connection of the node for a while, or nobody answers at its other end. */
  reached: z.boolean().default(true),
  /** What was seen, in plain words; for a bad one also what was expected. */
  detail: text(500),
  tookMs: count,
  agoMs: count,
})
export type ProbeResult = z.infer<typeof probeResult>

/** `POST /gateway/report`. `batch` numbers the usage of one gateway's journal: the same batch sent twice counts once. */
export const gatewayReport = z.object({
  gatewayId: text(64),
  /** Where agents dial this gateway process. */
  url: text(512),
  /** Of the authority that they pin; null: their machines' own authorities. */
  fingerprint: sha256Hex.nullable().default(null),
  startedAt: z.iso.datetime(),
  tableVersion: text(64).nullable(),
  batch: count.nullable(),
  usage: z.array(usageRow).max(5_000),
  /** Each result once. */
  probes: z.array(probeResult).max(5_000),
  nodes: z.array(z.object({ id: text(64), inFlight: count, spareSockets: count })).max(20_000),
  /** Upgrades that were refused because another incarnation was alive. */
  secondHolders: z.array(z.object({ nodeId: text(64), incarnation: text(64) })).max(100),
})
export type GatewayReport = z.infer<typeof gatewayReport>

/** The key that people use who try a model out, and the header that tells them, and no other client, which node served. */
export const playgroundKeyId = 'ke-playground'
export const servedByHeader = 'x-flightdeck-node'

export const gatewayReply = z.object({ acceptedBatch: count.nullable() })

export const gatewayPaths = { table: '/gateway/table', report: '/gateway/report', connect: reverse.path } as const
