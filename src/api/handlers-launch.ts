import type { Actor, CommandDeps } from '../commands/context.ts'
import { cancelLaunch, createLaunch } from '../commands/launches.ts'
import { drainNode, holdNode, releaseNode } from '../commands/nodes.ts'
import { planLaunch } from '../commands/plan.ts'
import { Failure } from '../core/failure.ts'
import { nodeIsThere, readLastLines, readLaunchLines, readLinesAfter, readTimeline } from '../store/read-told.ts'
import type { LaunchRequest } from '../wire/routes.ts'
import { Answered, type Handlers } from './asked.ts'
import { presentEvent } from './present-node.ts'
import { presentLine } from './present-small.ts'
import type { Views } from './views.ts'

type Names = 'plan' | 'createLaunch' | 'listLaunches' | 'showLaunch' | 'transcript' | 'cancelLaunch'

export function launchHandlers(deps: CommandDeps, views: Views): Handlers<Names> {
  const { db } = deps.store
  const planned = async (actor: Actor, asked: Omit<LaunchRequest, 'dryRun'>, replicas?: number) =>
    views.plan(actor.tenantId, await planLaunch(deps, actor, asked, replicas))
  return {
    plan: ({ actor, body: { replicas, ...asked } }) => planned(actor, asked, replicas),
    async createLaunch({ actor, body, idempotencyKey }) {
      if (body.dryRun) return new Answered(200, { dryRun: true, plan: await planned(actor, body) })
      const { launchId } = await createLaunch(deps, actor, body, idempotencyKey)
      return views.launch(actor.tenantId, launchId)
    },
    listLaunches: ({ actor, query }) => views.launches(actor.tenantId, query),
    showLaunch: ({ actor, id }) => views.launch(actor.tenantId, id),
    async transcript({ actor, id }) {
      // Read for its refusal: a transcript belongs to a launch of one's own.
      await views.launch(actor.tenantId, id)
      const [events, lines] = await Promise.all([readTimeline(db, { launchId: id }), readLaunchLines(db, id)])
      return { events: events.map(presentEvent), lines: lines.map(presentLine) }
    },
    async cancelLaunch({ actor, id }) {
      const { over } = await cancelLaunch(deps, actor, id)
      const launch = await views.launch(actor.tenantId, id)
      return over ? new Answered(200, launch) : launch
    },
  }
}

export function nodeHandlers(
  deps: CommandDeps,
  views: Views,
): Handlers<'listNodes' | 'showNode' | 'drainNode' | 'releaseNode' | 'holdNode' | 'nodeLogs'> {
  const { db } = deps.store
  return {
    listNodes: ({ actor, query }) => views.nodes(actor.tenantId, query),
    showNode: ({ actor, id }) => views.node(actor.tenantId, id),
    async drainNode({ actor, id, body }) {
      await drainNode(deps, actor, id, body?.deadlineS)
      return views.node(actor.tenantId, id)
    },
    async releaseNode({ actor, id }) {
      await releaseNode(deps, actor, id)
      return views.node(actor.tenantId, id)
    },
    async holdNode({ actor, id, body }) {
      await holdNode(deps, actor, id, body.forS)
      return views.node(actor.tenantId, id)
    },
    async nodeLogs({ actor, id, query: { tail, after } }) {
      if (!(await nodeIsThere(db, actor.tenantId, id))) throw new Failure('not_found', `There is no node ${id}.`)
      const lines = await (after === undefined ? readLastLines(db, id, tail) : readLinesAfter(db, id, after, tail))
      return { items: lines.map(presentLine) }
    },
  }
}
