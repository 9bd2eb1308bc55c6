import { type FleetGroup, fleetGroups, groupOf as groupIn } from '../../src/core/fleet-group.ts'
import type { NodeView } from '../../src/wire/views.ts'
import { placeOf } from '../words/offers.ts'

/** What a fleet is narrowed down to; all of it stands in the address of the page. */
export const noFilters = { q: '', group: '', place: '', model: '', billed: '', by: 'trouble', dir: 'down' }
export type FleetFilters = typeof noFilters

export const groupWords: Readonly<Record<FleetGroup, string>> = {
  wrong: 'to look at',
  starting: 'starting',
  ready: 'ready',
  leaving: 'leaving',
}

export const groupOf = ({ state, verdict, failure }: Pick<NodeView, 'state' | 'verdict' | 'failure'>): FleetGroup =>
  groupIn({ state, verdict, hasFailed: failure !== null })

/** The share of its GPUs' time that is used, or null where nobody says. */
export function gpuUse({ gpus }: Pick<NodeView, 'gpus'>): number | null {
  const told = gpus.flatMap(({ utilizationPercent }) => (utilizationPercent === null ? [] : [utilizationPercent]))
  return told.length === 0 ? null : told.reduce((sum, percent) => sum + percent, 0) / told.length
}

/** The share of its GPUs' memory that is used, in percent. */
export function gpuMemoryUse({ gpus }: Pick<NodeView, 'gpus'>): number | null {
  const told = gpus.filter(({ memoryUsedMib, memoryMib }) => memoryUsedMib !== null && memoryMib > 0)
  if (told.length === 0) return null
  const used = told.reduce((sum, { memoryUsedMib }) => sum + (memoryUsedMib ?? 0), 0)
  return (100 * used) / told.reduce((sum, { memoryMib }) => sum + memoryMib, 0)
}

/** What the rows can be ordered by; `down` begins with the first that each says. */
const orders: Readonly<Record<string, (a: NodeView, b: NodeView) => number>> = {
  name: (a, b) => text(a.name, b.name),
  model: (a, b) => text(a.model, b.model),
  place: (a, b) => text(placeOf(a.offer), placeOf(b.offer)),
  load: (a, b) => b.inFlight - a.inFlight,
  gpu: (a, b) => (gpuUse(b) ?? -1) - (gpuUse(a) ?? -1),
  price: (a, b) => b.offer.pricePerHourMicroUsd - a.offer.pricePerHourMicroUsd,
}

// Not by the rules of a language: ten thousand of those comparisons are felt.
const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

export function narrowed(
  nodes: readonly NodeView[],
  { q, group, place, model, billed, by, dir }: FleetFilters,
): NodeView[] {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean)
  const kept = nodes.filter(
    (node) =>
      (group === '' || groupOf(node) === group) &&
      (place === '' || placeOf(node.offer) === place) &&
      (model === '' || node.model === model) &&
      (billed === '' || node.billed === billed) &&
      words.every((word) => haystack(node).includes(word)),
  )
  const order = orders[by]
  const sign = dir === 'up' ? -1 : 1
  if (order) return kept.sort((a, b) => sign * order(a, b) || text(b.createdAt, a.createdAt))
  const inOrder = byGroup(kept.sort((a, b) => text(b.createdAt, a.createdAt)))
  return dir === 'up' ? inOrder.reverse() : inOrder
}

/** Each node is asked for its group once: ten thousand of them are sorted again whenever one speaks. */
function byGroup(nodes: readonly NodeView[]): NodeView[] {
  const found = Map.groupBy(nodes, groupOf)
  return fleetGroups.flatMap((group) => found.get(group) ?? [])
}

const haystack = ({ name, id, model, deployment, state, verdict, statusMessage, offer }: NodeView): string =>
  [name, id, model, deployment, state, verdict, statusMessage, offer.cloud, offer.region, offer.gpu]
    .join(' ')
    .toLowerCase()

export interface Place {
  readonly name: string
  /** Those that need a look first. */
  readonly nodes: readonly NodeView[]
  readonly counts: Readonly<Record<FleetGroup, number>>
}

/** The fleet by where it is; where something is wrong comes first, then where most is. */
export function placesOf(nodes: readonly NodeView[]): Place[] {
  const places = [...Map.groupBy(nodes, ({ offer }) => placeOf(offer))].map(([name, there]) => {
    const found = Map.groupBy(there, groupOf)
    const of = (group: FleetGroup) => found.get(group)?.length ?? 0
    const counts = { wrong: of('wrong'), starting: of('starting'), leaving: of('leaving'), ready: of('ready') }
    return { name, counts, nodes: fleetGroups.flatMap((group) => found.get(group) ?? []) }
  })
  return places.sort((a, b) => b.counts.wrong - a.counts.wrong || b.nodes.length - a.nodes.length)
}
