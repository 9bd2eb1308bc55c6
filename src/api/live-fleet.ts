import { isDeepStrictEqual } from 'node:util'
import type { FleetMessage } from '../wire/live.ts'
import type { NodeView } from '../wire/views.ts'
import type { FeedDeps, Moving } from './live-feeds.ts'

/** Nodes, and the message about them: whole, or what of them is new for who was told all before. */
export interface FleetPiece {
  readonly nodes: readonly NodeView[]
  readonly message: FleetMessage
}

/** The one feed of which the whole may be ten thousand views, and is told in pieces. */
export interface FleetFeed extends Moving {
  /** Looks again, and says what is new since the last look, in pieces for whoever was told all before. */
  look(): Promise<readonly FleetPiece[]>
  nodes(): ReadonlyMap<string, NodeView>
  /** Says some nodes whole, to who was not told all before. */
  messageOf(part: Pick<FleetMessage, 'snapshot' | 'left' | 'nodes'>): FleetMessage
}

// Some 1.5 KB each, measured: of the bytes that may wait for one reader, a message is a part.
export const pieceNodes = 150
// A node that is gone is shown as gone for this long to those who watched it.
const goneShownMs = 60_000
// Load and ages come with heartbeats, of which nobody tells; between these looks only told nodes are read. A small fleet is
// looked at with each tick.
const wholeLookMs = (nodes: number): number => (nodes <= 100 ? 0 : 3_000)

type Change = FleetMessage['changes'][number]

/** What of a node is not as it was told. Money runs all the time; it alone is no news. */
function changeOf(before: NodeView, now: NodeView): Change | null {
  const was = new Map<string, unknown>(Object.entries(before))
  const { id, costMicroUsd, ...rest } = now
  const changed = Object.entries(rest).filter(([field, value]) => !isDeepStrictEqual(value, was.get(field)))
  return changed.length > 0 ? { id, costMicroUsd, ...Object.fromEntries(changed) } : null
}

/** A node that is new, or was told before and is not as it was. */
interface News {
  readonly node: NodeView
  readonly change: Change | null
}

function pieceOf(news: readonly News[]): FleetPiece {
  const nodes = news.flatMap(({ node, change }) => (change ? [] : node))
  const changes = news.flatMap(({ change }) => change ?? [])
  return {
    nodes: news.map(({ node }) => node),
    message: { topic: 'fleet', snapshot: false, left: 0, nodes, changes },
  }
}

export function fleetFeed({ views, clock }: FeedDeps, tenantId: string): FleetFeed {
  const nodes = new Map<string, NodeView>()
  let told = new Set<string>()
  let lookedAt = Number.NEGATIVE_INFINITY

  /** What differs from what was shown last; nodes that are not there any more are forgotten. */
  function newsAmong(read: readonly NodeView[], all: boolean): News[] {
    const news = read.flatMap((node): News[] => {
      const before = nodes.get(node.id)
      const change = before ? changeOf(before, node) : null
      return before && !change ? [] : [{ node, change }]
    })
    if (all) nodes.clear()
    for (const view of read) nodes.set(view.id, view)
    return news
  }

  return {
    async look() {
      const all = clock.monotonicMs() - lookedAt >= wholeLookMs(nodes.size)
      const ids = all ? null : [...told]
      told = new Set()
      if (ids?.length === 0) return []
      const read = await views.fleet(tenantId, clock.now() - goneShownMs, ids).catch((error: unknown) => {
        // What was told is lost with this look, so the next one looks at everything.
        lookedAt = Number.NEGATIVE_INFINITY
        throw error
      })
      if (all) lookedAt = clock.monotonicMs()
      const news = newsAmong(read, all)
      const pieces: FleetPiece[] = []
      for (let from = 0; from < news.length; from += pieceNodes)
        pieces.push(pieceOf(news.slice(from, from + pieceNodes)))
      return pieces
    },
    nodes: () => nodes,
    messageOf: (part) => ({ topic: 'fleet', ...part, changes: [] }),
    movesByItself: () => clock.monotonicMs() - lookedAt >= wholeLookMs(nodes.size),
    hears(storeTopic) {
      if (storeTopic.startsWith('node:')) told.add(storeTopic.slice('node:'.length))
      return storeTopic.startsWith('node:')
    },
  }
}
