import type { LaunchState } from '../../src/core/launch-table.ts'
import type { LiveMessage } from '../../src/wire/live.ts'
import type { RouteName } from '../../src/wire/routes.ts'
import type { DeploymentView, LaunchView } from '../../src/wire/views.ts'
import { hold, keyOf, queries } from '../api/queries.ts'
import { live } from './link.ts'
import type { Topic } from './live-socket.ts'

type MessageOf<T extends LiveMessage['topic']> = Extract<LiveMessage, { topic: T }>

/** What tells of changes in what a route reads. Where nothing is named, `changed` says that it is to be read again. */
const topicsOf: Partial<Record<RouteName, readonly LiveMessage['topic'][]>> = {
  showLaunch: ['launch'],
  showNode: ['node'],
  listLaunches: ['launches'],
  listDeployments: ['deployments'],
  showDeployment: ['deployments'],
  status: ['status'],
  // Its place in the queue moves with every launch.
  plan: ['launches', 'changed'],
}

/** The routes that read what a kind of change concerns. What is not listed concerns the audit alone. */
const readsOf: Readonly<Record<string, readonly RouteName[]>> = {
  key: ['listKeys'],
  operator: ['listOperators', 'me'],
  // A plan says whether a gated model has its token, and how many replicas a deployment then has.
  secret: ['listSecrets', 'plan'],
  deployment: ['plan'],
  offer: ['listOffers', 'plan'],
  model: ['listModels'],
  node: ['listModels', 'listNodes'],
  launch: ['unknownFailures'],
  sample: ['nodeSamples', 'deploymentSamples'],
}

const fed = new Map<string, { readers: number; readonly leave: () => void }>()

/** Keeps what a route reads up to date for as long as somebody reads it. Returns what ends that. */
export function feed(name: RouteName, id: string | undefined): () => void {
  const leaves = (topicsOf[name] ?? ['changed']).map((topic) => feedFrom(topic, id))
  return () => {
    for (const leave of leaves) leave()
  }
}

function feedFrom(topic: LiveMessage['topic'], id: string | undefined): () => void {
  const followed: Topic = (topic === 'launch' || topic === 'node') && id ? { topic, id } : { topic }
  const key = `${topic}:${followed.id ?? ''}`
  const entry = fed.get(key) ?? { readers: 0, leave: live.follow(followed, take) }
  entry.readers += 1
  fed.set(key, entry)
  return () => {
    entry.readers -= 1
    if (entry.readers > 0) return
    fed.delete(key)
    entry.leave()
  }
}

function take(message: LiveMessage): void {
  if (message.topic === 'launch') hold(keyOf('showLaunch', { params: { id: message.id } }), message.launch)
  else if (message.topic === 'node') hold(keyOf('showNode', { params: { id: message.id } }), message.node)
  else if (message.topic === 'status') hold(keyOf('status'), message.status)
  else if (message.topic === 'launches') takeLaunches(message)
  else if (message.topic === 'deployments') takeDeployments(message)
  else if (message.topic === 'changed') takeChanged(message)
}

const states = new Map<string, LaunchState>()

/** Put into each list that shows it; a list that may begin or cease to show it is read again. */
function takeLaunches({ launches }: MessageOf<'launches'>): void {
  const moved = launches.some(({ id, state }) => states.get(id) !== state)
  for (const { id, state } of launches) states.set(id, state)
  const fresh = new Map(launches.map((launch) => [launch.id, launch]))
  queries.setQueriesData<{ items: readonly LaunchView[] }>(
    { queryKey: keyOf('listLaunches') },
    (had) => had && { ...had, items: had.items.map((launch) => fresh.get(launch.id) ?? launch) },
  )
  if (moved)
    for (const name of ['listLaunches', 'plan'] as const) void queries.invalidateQueries({ queryKey: keyOf(name) })
}

function takeDeployments({ snapshot, deployments }: MessageOf<'deployments'>): void {
  for (const deployment of deployments)
    if (queries.getQueryData(keyOf('showDeployment', { params: { id: deployment.id } })))
      hold(keyOf('showDeployment', { params: { id: deployment.id } }), deployment)
  const key = keyOf('listDeployments')
  const had = snapshot ? [] : (queries.getQueryData<{ items: readonly DeploymentView[] }>(key)?.items ?? [])
  const fresh = new Map(deployments.map((deployment) => [deployment.id, deployment]))
  const known = had.map((deployment) => fresh.get(deployment.id) ?? deployment)
  const ids = new Set(known.map(({ id }) => id))
  const items = [...known, ...deployments.filter(({ id }) => !ids.has(id))]
  // As they would stand were they read again.
  hold(key, { items: items.toSorted((a, b) => a.name.localeCompare(b.name)) })
}

function takeChanged({ what }: MessageOf<'changed'>): void {
  if (what.includes('*')) void queries.invalidateQueries()
  const names = new Set<RouteName>(what.some((kind) => kind !== 'sample') ? ['audit'] : [])
  for (const kind of what) for (const name of readsOf[kind] ?? []) names.add(name)
  for (const name of names) void queries.invalidateQueries({ queryKey: keyOf(name) })
}

/** Nobody told of what changed while the connection was cut. */
export function readAnewAfterCuts(): void {
  let wasCut = false
  live.watch(() => {
    if (live.state.kind === 'live' && wasCut) void queries.invalidateQueries()
    wasCut = live.state.kind === 'reconnecting' || (wasCut && live.state.kind !== 'live')
  })
}
