import { isDeepStrictEqual } from 'node:util'
import { Failure } from '../core/failure.ts'
import { isOver } from '../core/launch-table.ts'
import { nodeIsThere, readLastLines, readLinesAfter } from '../store/read-told.ts'
import type { FleetMessage, LiveMessage } from '../wire/live.ts'
import type { LaunchDetail, LogLine, NodeView, StatusView } from '../wire/views.ts'
import type { LiveDeps } from './live-limits.ts'
import { presentLine } from './present-small.ts'

/** What a topic shows. One for all of its followers, so a change is read once however many follow. */
export interface Feed {
  /** Looks again, and says what is new since the last look; all of it, as one message, or nothing. */
  look(): Promise<LiveMessage | null>
  /** Everything that a new follower must know, as of the last look. */
  whole(): LiveMessage
  /** True while something may change that nobody tells of: time itself moves a percentage. */
  movesByItself(): boolean
  /** Takes in what the store tells of; true where that has something to do with this topic. */
  hears(storeTopic: string): boolean
}

export type FeedDeps = Pick<LiveDeps, 'views' | 'store' | 'clock'>

export function launchFeed({ views }: FeedDeps, tenantId: string, id: string): Feed {
  let launch: LaunchDetail | null = null
  let text = ''
  const whole = (): LiveMessage => {
    if (!launch) throw new Error('a launch is looked at before it is shown')
    return { topic: 'launch', id, launch }
  }
  return {
    async look() {
      launch = await views.launch(tenantId, id)
      const before = text
      text = JSON.stringify(launch)
      return text === before ? null : whole()
    },
    whole,
    movesByItself: () => launch !== null && !isOver(launch.state),
    hears: (storeTopic) => storeTopic === `launch:${id}`,
  }
}

const shownLines = 200
const batchLines = 500

/** The last lines, then new ones by number. A line is text of a stranger and passed on as it is. */
export function logFeed({ store: { db } }: FeedDeps, tenantId: string, id: string): Feed {
  let shown: LogLine[] = []
  let started = false
  const messageOf = (lines: LogLine[]): LiveMessage => ({ topic: 'log', id, lines })

  async function start(): Promise<void> {
    if (!(await nodeIsThere(db, tenantId, id))) throw new Failure('not_found', `There is no node ${id}.`)
    shown = (await readLastLines(db, id, shownLines)).map(presentLine)
    started = true
  }

  return {
    async look() {
      if (!started) {
        await start()
        return null
      }
      const fresh: LogLine[] = []
      for (let last = shown.at(-1)?.n ?? -1; ; last = fresh.at(-1)?.n ?? last) {
        const rows = await readLinesAfter(db, id, last, batchLines)
        fresh.push(...rows.map(presentLine))
        if (rows.length < batchLines) break
      }
      shown = [...shown, ...fresh].slice(-shownLines)
      return fresh.length > 0 ? messageOf(fresh) : null
    },
    whole: () => messageOf(shown),
    movesByItself: () => false,
    hears: (storeTopic) => storeTopic === `log:${id}`,
  }
}

// A node that is gone is shown as gone for this long to those who watched it.
const goneShownMs = 60_000
// Load and ages come with heartbeats, of which nobody tells; between these looks only told nodes are read.
const wholeLookMs = 3_000

/** What of a node is not as it was told. Money runs all the time; it alone is no news. */
function changeOf(before: NodeView, now: NodeView): FleetMessage['changes'][number] | null {
  const was = new Map<string, unknown>(Object.entries(before))
  const { id, costMicroUsd, ...rest } = now
  const changed = Object.entries(rest).filter(([field, value]) => !isDeepStrictEqual(value, was.get(field)))
  return changed.length > 0 ? { id, costMicroUsd, ...Object.fromEntries(changed) } : null
}

const statusNewsOf = ({ loops: _, database: __, ...status }: StatusView): string =>
  JSON.stringify({ ...status, gateways: status.gateways.map(({ seenAt: ___, ...gateway }) => gateway) })

export function fleetFeed({ views, clock }: FeedDeps, tenantId: string): Feed {
  const nodes = new Map<string, NodeView>()
  let status: StatusView | null = null
  let told = new Set<string>()
  let lookedAt = Number.NEGATIVE_INFINITY

  /** What differs from what was shown last; nodes that are not there any more are forgotten. */
  function newsAmong(read: readonly NodeView[], all: boolean): Pick<FleetMessage, 'nodes' | 'changes'> {
    const fresh = read.filter(({ id }) => !nodes.has(id))
    const changes = read.flatMap((view) => {
      const before = nodes.get(view.id)
      return (before && changeOf(before, view)) ?? []
    })
    if (all) nodes.clear()
    for (const view of read) nodes.set(view.id, view)
    return { nodes: fresh, changes }
  }

  return {
    async look() {
      const all = clock.monotonicMs() - lookedAt >= wholeLookMs
      const ids = all ? null : [...told]
      told = new Set()
      const [read, fresh] = await Promise.all([
        ids?.length === 0 ? [] : views.fleet(tenantId, clock.now() - goneShownMs, ids),
        views.status(),
      ]).catch((error: unknown) => {
        // What was told is lost with this look, so the next one looks at everything.
        lookedAt = Number.NEGATIVE_INFINITY
        throw error
      })
      if (all) lookedAt = clock.monotonicMs()
      const news = newsAmong(read, all)
      const isNews = status === null || statusNewsOf(status) !== statusNewsOf(fresh)
      status = fresh
      if (news.nodes.length + news.changes.length === 0 && !isNews) return null
      return { topic: 'fleet', snapshot: false, ...news, status: isNews ? fresh : null }
    },
    whole: () => ({ topic: 'fleet', snapshot: true, nodes: [...nodes.values()], changes: [], status }),
    movesByItself: () => clock.monotonicMs() - lookedAt >= wholeLookMs,
    hears(storeTopic) {
      if (storeTopic.startsWith('node:')) told.add(storeTopic.slice('node:'.length))
      return storeTopic.startsWith('node:') || storeTopic === 'status'
    },
  }
}
