import { Failure } from '../core/failure.ts'
import { isOver } from '../core/launch-table.ts'
import { nodeIsThere, readLastLines, readLinesAfter } from '../store/read-told.ts'
import type { LiveMessage } from '../wire/live.ts'
import type { LaunchDetail, LogLine } from '../wire/views.ts'
import type { LiveDeps } from './live-limits.ts'
import { presentLine } from './present-small.ts'

/** When a topic is to be looked at. */
export interface Moving {
  /** True while something may change that nobody tells of: time itself moves a percentage. */
  movesByItself(): boolean
  /** Takes in what the store tells of; true where that has something to do with this topic. */
  hears(storeTopic: string): boolean
}

/** What a topic shows. One for all of its followers, so a change is read once however many follow. */
export interface Feed extends Moving {
  /** Looks again, and says what is new since the last look; all of it, as one message, or nothing. */
  look(): Promise<LiveMessage | null>
  /** Everything that a new follower must know, as of the last look. */
  whole(): LiveMessage
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
