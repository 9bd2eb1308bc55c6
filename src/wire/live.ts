import { z } from 'zod'
import {
  deploymentView,
  launchDetail,
  launchView,
  logLine,
  type NodeView,
  nodeDetail,
  nodeView,
  statusView,
} from './views.ts'

export const livePath = '/api/live'

/** What is followed by the id of a launch or a node, and what has no id. */
const ofOne = ['launch', 'node', 'log'] as const
const ofAll = ['fleet', 'launches', 'deployments', 'status', 'changed'] as const

/** What a reader may follow. A token comes in the first message, never in the address; a page that is signed in has none. */
export const liveRequest = z.union([
  z.object({ do: z.literal('hello'), token: z.string().max(512).optional() }).strict(),
  z.object({ do: z.literal('follow'), topic: z.enum(ofOne), id: z.string().max(64) }).strict(),
  z.object({ do: z.literal('follow'), topic: z.enum(ofAll) }).strict(),
  z.object({ do: z.literal('leave'), topic: z.enum([...ofOne, ...ofAll]), id: z.string().max(64).optional() }).strict(),
])
export type LiveRequest = z.infer<typeof liveRequest>

/** First a snapshot, then changes: each carries the new view of what changed, so that none can be missed. */
export const liveMessage = z.discriminatedUnion('topic', [
  /**
   * `now`: by the clock of the control plane, so that ages are right on a machine whose clock is not. `aliveMs`: where
   * nothing else is told, `alive` is about this often; a connection that is silent for much longer is dead.
   */
  z.object({
    topic: z.literal('hello'),
    name: z.string(),
    role: z.string(),
    now: z.iso.datetime(),
    aliveMs: z.int().min(1),
  }),
  z.object({ topic: z.literal('alive') }),
  z.object({ topic: z.literal('launch'), id: z.string(), launch: launchDetail }),
  z.object({ topic: z.literal('log'), id: z.string(), lines: z.array(logLine) }),
  z.object({
    topic: z.literal('fleet'),
    /** Here the whole begins: what was told before is of no more use. */
    snapshot: z.boolean(),
    /** How many nodes of the whole are still to come, in messages of their own. Until none are, those told are not all. */
    left: z.int().min(0),
    nodes: z.array(nodeView),
    /** Of nodes that were told before: what is not as it was. Every node speaks every few seconds, and most of it stays. */
    changes: z.array(nodeView.partial().required({ id: true })),
  }),
  z.object({ topic: z.literal('node'), id: z.string(), node: nodeDetail }),
  /** Those that are on their way, and the newest others. */
  z.object({ topic: z.literal('launches'), snapshot: z.boolean(), launches: z.array(launchView) }),
  z.object({ topic: z.literal('deployments'), snapshot: z.boolean(), deployments: z.array(deploymentView) }),
  z.object({ topic: z.literal('status'), status: statusView }),
  /**
   * Something of these kinds changed and is to be read again: `key`, `operator`, `secret`, `session`, ... as actions in the
   * audit begin; `offer`; `sample`: figures of graphs. `*`: anything may have changed.
   */
  z.object({ topic: z.literal('changed'), what: z.array(z.string().max(64)) }),
  z.object({ topic: z.literal('error'), code: z.string(), message: z.string() }),
])
export type LiveMessage = z.infer<typeof liveMessage>
export type FleetMessage = Extract<LiveMessage, { topic: 'fleet' }>

/** Takes what a message says of nodes into what was told before. Nodes that are gone stay. */
export function takeIn(told: Map<string, NodeView>, { snapshot, nodes, changes }: FleetMessage): void {
  if (snapshot) told.clear()
  for (const node of nodes) told.set(node.id, node)
  for (const change of changes) {
    const before = told.get(change.id)
    if (before) told.set(change.id, { ...before, ...change } as NodeView)
  }
}

/** Close codes: the reason says it in words. */
export const liveClose = { slowReader: 4008, unauthenticated: 4001, goingAway: 4009 } as const
