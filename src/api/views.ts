import type { CommandDeps } from '../commands/context.ts'
import type { Plan } from '../commands/plan.ts'
import { Failure } from '../core/failure.ts'
import { type LaunchState, launchStates } from '../core/launch-table.ts'
import { type NodeState, nodeStates } from '../core/node-table.ts'
import { rememberedMs } from '../core/offer-memory.ts'
import { paceOf } from '../core/pace.ts'
import { fullServerOf, holdsOf } from '../core/queue.ts'
import { readyIn } from '../core/ready-in.ts'
import { setupsOf } from '../core/setup.ts'
import { lookAtQueue } from '../store/queue.ts'
import { readDeployments } from '../store/read-deployments.ts'
import { type LaunchRow, readAttempts, readLastFailures, readLaunch, readLaunches } from '../store/read-launches.ts'
import { readFleet, readIntervals, readNode, readNodes } from '../store/read-nodes.ts'
import { readStatus } from '../store/read-status.ts'
import { readTimeline } from '../store/read-told.ts'
import type { PlanView } from '../wire/plan.ts'
import type { DeploymentView, LaunchDetail, LaunchView, NodeDetail, NodeView, StatusView } from '../wire/views.ts'
import { pageOf, placeOf, statesIn } from './cursor.ts'
import { makePast } from './past.ts'
import { type LaunchScene, presentLaunch, presentLaunchDetail } from './present-launch.ts'
import { type NodeScene, presentNode, presentNodeDetail } from './present-node.ts'
import { presentPlan } from './present-plan.ts'
import { presentDeployment } from './present-small.ts'
import { presentStatus } from './present-status.ts'

export interface ListQuery {
  readonly limit: number
  readonly cursor?: string | undefined
  readonly state?: string | undefined
  readonly model?: string | undefined
  readonly deployment?: string | undefined
}

export interface ViewDeps extends Pick<CommandDeps, 'store' | 'clock' | 'settings'> {
  readonly databaseKind: 'embedded' | 'given'
  readonly tableVersion: () => Promise<string>
}

export interface Views extends LaunchViews, NodeViews {
  deployments(tenantId: string, id?: string): Promise<DeploymentView[]>
  status(): Promise<StatusView>
}

interface LaunchViews {
  launches(tenantId: string, query: ListQuery): Promise<Page<LaunchView>>
  /** Those that are on their way, and the newest others. */
  launchesNow(tenantId: string): Promise<LaunchView[]>
  /** @throws Failure `not_found`. */
  launch(tenantId: string, id: string): Promise<LaunchDetail>
  /** With how long each offer takes until it serves and what that costs, and what getting the engine onto each machine costs, as far as the past or a guess says. */
  plan(tenantId: string, plan: Plan): Promise<PlanView>
}

interface NodeViews {
  nodes(tenantId: string, query: ListQuery & { readonly all: boolean }): Promise<Page<NodeView>>
  /** @throws Failure `not_found`. */
  node(tenantId: string, id: string): Promise<NodeDetail>
  /** Everything that is not gone, and what went since `goneAfter`; or, with ids, those of it. */
  fleet(tenantId: string, goneAfter: number, ids: readonly string[] | null): Promise<NodeView[]>
}

const movingStates: readonly LaunchState[] = ['queued', 'attempting', 'backing_off', 'ending']
// Bounds on what one look costs; a queue longer than this is read page by page.
const mostMoving = 500
const newestShown = 100

interface Page<V> {
  items: V[]
  nextCursor: string | null
}

// Gateways report every few seconds; one that was silent for longer is not shown as one that serves.
const gatewayShownMs = 5 * 60_000

/** Rows as people see them; one or two statements each, the same for calls and for live readers. */
export function makeViews(deps: ViewDeps): Views {
  const { clock, settings, databaseKind } = deps
  const { db, pool } = deps.store
  return {
    ...launchViews(deps),
    ...nodeViews(deps),
    async deployments(tenantId, id) {
      const { stopAfterFailures } = settings
      const rows = await readDeployments(db, tenantId, id)
      return rows.map((row) => presentDeployment(row, { now: clock.now(), stopAfterFailures }))
    },
    async status() {
      const now = clock.now()
      const [row, tableVersion] = await Promise.all([readStatus(db, now - gatewayShownMs), deps.tableVersion()])
      return presentStatus(row, { now, databaseKind, pool, tableVersion })
    },
  }
}

function launchViews({ store: { db }, clock, settings }: ViewDeps): LaunchViews {
  const past = makePast(db, clock)
  async function scene(rows: readonly LaunchRow[]): Promise<LaunchScene> {
    const waits = rows.some(({ state }) => state === 'queued' || state === 'backing_off')
    const [pastOf, queue] = await Promise.all([past(), waits ? lookAtQueue(db) : null])
    return {
      now: clock.now(),
      queue: queue ? holdsOf(queue.order, queue, settings) : new Map(),
      fullOf: (cloud) => (queue ? fullServerOf(cloud, queue, settings) : null),
      pastOf,
      retry: settings.retry,
    }
  }
  return {
    async launches(tenantId, query) {
      const states = statesIn<LaunchState>(query.state, launchStates)
      const rows = await readLaunches(db, tenantId, { ...query, states, before: placeOf(query.cursor) })
      const seen = await scene(rows)
      return pageOf(rows, query.limit, (row) => presentLaunch(row, seen))
    },
    async launchesNow(tenantId) {
      const [moving, newest] = await Promise.all([
        readLaunches(db, tenantId, { limit: mostMoving, states: movingStates, before: null }),
        readLaunches(db, tenantId, { limit: newestShown, states: null, before: null }),
      ])
      const rows = [...new Map([...moving, ...newest].map((row) => [row.id, row])).values()]
      const seen = await scene(rows)
      return rows.map((row) => presentLaunch(row, seen))
    },
    async launch(tenantId, id) {
      const [row, attempts] = await Promise.all([readLaunch(db, tenantId, id), readAttempts(db, id)])
      if (!row) throw new Failure('not_found', `There is no launch ${id}.`)
      return presentLaunchDetail(row, attempts, await scene([row]))
    },
    async plan(tenantId, plan) {
      const { engine, model } = plan
      const [pastOf, failed] = await Promise.all([
        past(),
        readLastFailures(db, tenantId, clock.now() - rememberedMs(settings.capacity)),
      ])
      return presentPlan(
        plan,
        (offer) => {
          const there = pastOf(offer.cloud, engine, model)
          return {
            setups: setupsOf(settings, engine, offer, there),
            readyIn: readyIn(offer.pricePerHourMicroUsd, there),
          }
        },
        failed,
        clock.now(),
      )
    },
  }
}

const livingStates = nodeStates.filter((state) => state !== 'gone')

function nodeViews({ store: { db, fleetSize }, clock, settings }: ViewDeps): NodeViews {
  const scene = async (): Promise<NodeScene> => {
    const { signalAges } = paceOf(settings, await fleetSize())
    return { now: clock.now(), signalAges, leaseMs: settings.leaseMs, holdLimitS: settings.holdLimitS }
  }
  return {
    async nodes(tenantId, query) {
      const states = statesIn<NodeState>(query.state, nodeStates) ?? (query.all ? null : livingStates)
      const rows = await readNodes(db, tenantId, { ...query, states, before: placeOf(query.cursor) })
      const seen = await scene()
      return pageOf(rows, query.limit, (row) => presentNode(row, seen))
    },
    async node(tenantId, id) {
      const [row, intervals, events] = await Promise.all([
        readNode(db, tenantId, id),
        readIntervals(db, id),
        readTimeline(db, { nodeId: id }),
      ])
      if (!row) throw new Failure('not_found', `There is no node ${id}.`)
      return presentNodeDetail(row, intervals, events, await scene())
    },
    async fleet(tenantId, goneAfter, ids) {
      const rows = await readFleet(db, tenantId, goneAfter, ids)
      const seen = await scene()
      return rows.map((row) => presentNode(row, seen))
    },
  }
}

/** The only one of a list, or the refusal that says what is missing. @throws Failure `not_found`. */
export function theOne<T>(items: readonly T[], what: string): T {
  const [only] = items
  if (only === undefined) throw new Failure('not_found', `There is no ${what}.`)
  return only
}
