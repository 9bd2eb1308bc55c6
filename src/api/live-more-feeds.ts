import type { LiveMessage } from '../wire/live.ts'
import type { DeploymentView, LaunchView, NodeDetail, StatusView } from '../wire/views.ts'
import type { Feed, FeedDeps } from './live-feeds.ts'

// What changes without anybody telling of it: ages, figures of heartbeats, gateways that fell silent.
const quietLookMs = 3_000

interface ListFeed<V> {
  read(): Promise<readonly V[]>
  /** What of an item is news. */
  newsOf(item: V): string
  messageOf(snapshot: boolean, items: V[]): LiveMessage
  movesByItself(items: readonly V[], lookedAgoMs: number): boolean
  concerns(storeTopic: string): boolean
}

/** A list of which only what changed is told. What is not in it any more is simply not told of again. */
function listFeed<V extends { readonly id: string }>({ clock }: FeedDeps, list: ListFeed<V>): Feed {
  let shown = new Map<string, { item: V; news: string }>()
  let lookedAt = Number.NEGATIVE_INFINITY
  const items = () => [...shown.values()].map(({ item }) => item)
  return {
    async look() {
      lookedAt = clock.monotonicMs()
      const read = (await list.read()).map((item) => ({ item, news: list.newsOf(item) }))
      const changed = read.filter(({ item, news }) => shown.get(item.id)?.news !== news).map(({ item }) => item)
      shown = new Map(read.map((one) => [one.item.id, one]))
      return changed.length > 0 ? list.messageOf(false, changed) : null
    },
    whole: () => list.messageOf(true, items()),
    movesByItself: () => list.movesByItself(items(), clock.monotonicMs() - lookedAt),
    hears: (storeTopic) => list.concerns(storeTopic),
  }
}

/** Places in the queue and percentages move together, so all of them are read whenever one is told of. */
export function launchesFeed(deps: FeedDeps, tenantId: string): Feed {
  return listFeed<LaunchView>(deps, {
    read: () => deps.views.launchesNow(tenantId),
    newsOf: (launch) => JSON.stringify({ ...launch, costMicroUsd: 0 }),
    messageOf: (snapshot, launches) => ({ topic: 'launches', snapshot, launches }),
    movesByItself: (launches) => launches.some(({ state }) => state === 'queued' || state === 'attempting'),
    concerns: (storeTopic) => storeTopic.startsWith('launch:'),
  })
}

const concernsDeployments = /^(deployment|node|launch):/

/** What a deployment has that is ready or on its way follows from nodes and launches. */
export function deploymentsFeed(deps: FeedDeps, tenantId: string): Feed {
  return listFeed<DeploymentView>(deps, {
    read: () => deps.views.deployments(tenantId),
    newsOf: (deployment) => JSON.stringify({ ...deployment, spentMicroUsd: 0 }),
    messageOf: (snapshot, deployments) => ({ topic: 'deployments', snapshot, deployments }),
    movesByItself: (_, lookedAgoMs) => lookedAgoMs >= quietLookMs,
    concerns: (storeTopic) => concernsDeployments.test(storeTopic),
  })
}

interface OneFeed<V> {
  read(): Promise<V>
  newsOf(view: V): string
  messageOf(view: V): LiveMessage
  concerns(storeTopic: string): boolean
  /** What of it nobody tells is looked for this often; 0: with each tick. */
  readonly quietLookMs: number
}

/** One thing that is told whole. */
function oneFeed<V>({ clock }: FeedDeps, one: OneFeed<V>): Feed {
  let shown: { view: V; news: string } | null = null
  let lookedAt = Number.NEGATIVE_INFINITY
  return {
    async look() {
      lookedAt = clock.monotonicMs()
      const view = await one.read()
      const news = one.newsOf(view)
      const isNews = shown?.news !== news
      shown = { view, news }
      return isNews ? one.messageOf(view) : null
    },
    whole() {
      if (!shown) throw new Error('a topic is looked at before it is shown')
      return one.messageOf(shown.view)
    },
    movesByItself: () => clock.monotonicMs() - lookedAt >= one.quietLookMs,
    hears: (storeTopic) => one.concerns(storeTopic),
  }
}

/** Its costs run with time, which is no news. */
export function nodeFeed(deps: FeedDeps, tenantId: string, id: string): Feed {
  const withoutCosts = (node: NodeDetail) => node.ledger.map((interval) => ({ ...interval, costMicroUsd: 0 }))
  return oneFeed<NodeDetail>(deps, {
    read: () => deps.views.node(tenantId, id),
    newsOf: (node) => JSON.stringify({ ...node, costMicroUsd: 0, ledger: withoutCosts(node) }),
    messageOf: (node) => ({ topic: 'node', id, node }),
    concerns: (storeTopic) => storeTopic === `node:${id}`,
    quietLookMs: 0,
  })
}

/** Every page follows it. That loops pass and gateways speak, which they do all the time, is told every few seconds only. */
export function statusFeed(deps: FeedDeps): Feed {
  const quietly = () => Math.floor(deps.clock.monotonicMs() / quietLookMs)
  return oneFeed<StatusView>(deps, {
    read: () => deps.views.status(),
    newsOf: ({ loops: _, database: __, gateways, ...status }) =>
      JSON.stringify([quietly(), status, gateways.map(({ seenAt: ___, ...gateway }) => gateway)]),
    messageOf: (status) => ({ topic: 'status', status }),
    concerns: (storeTopic) => storeTopic === 'status' || storeTopic.startsWith('node:'),
    quietLookMs,
  })
}

const changedPrefix = 'changed:'

/** Says what kinds of things are to be read again, for pages that show what is rarely changed. */
export function changedFeed(): Feed {
  let told = new Set<string>()
  return {
    async look() {
      const what = [...told]
      told = new Set()
      return what.length > 0 ? { topic: 'changed', what } : null
    },
    whole: () => ({ topic: 'changed', what: [] }),
    movesByItself: () => false,
    hears(storeTopic) {
      // After a gap in what the database tells, nobody knows what changed.
      if (storeTopic === 'gap') told.add('*')
      else if (storeTopic.startsWith(changedPrefix)) told.add(storeTopic.slice(changedPrefix.length))
      return told.size > 0
    },
  }
}
