import { sizeWords } from '../../src/core/human-size.ts'
import { isLeaving } from '../../src/core/launch-table.ts'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { plainText } from '../words/plain-text.ts'
import { plain } from '../words/states.ts'

type Attempt = LaunchDetail['attempts'][number]

/** `done`: it is over. `open`: it runs. `broken`: it is where the attempt failed. `stopped`: it was ended in it. */
export type PhaseFate = 'done' | 'open' | 'broken' | 'stopped'

export interface PhaseRow {
  readonly key: string
  readonly fate: PhaseFate
  readonly name: string
  readonly startedAt: string
  readonly endedAt: string | null
  readonly percent: number | null
  /** What was fetched and how fast, and what the cloud worked on, in its own words. */
  readonly details: readonly string[]
}

/** The wait in the queue, and what one attempt went through; of the last attempt where none is named. */
export function phaseRows(launch: LaunchDetail, attempt = launch.attempts.at(-1)): readonly PhaseRow[] {
  const rows = launch.phases.filter(({ attemptId, phase }) =>
    attemptId === null ? phase === 'queued' : attemptId === attempt?.id,
  )
  return rows.map((row, i) => {
    const isLast = i === rows.length - 1
    const steps = launch.steps.filter(
      ({ attemptId, phase }) => row.attemptId !== null && attemptId === row.attemptId && phase === row.phase,
    )
    const { phase, startedAt, endedAt, percent } = row
    const details = [sizeWords(row), ...new Set(steps.map(({ text }) => plainText(text)))].filter((text) => text !== '')
    const key = `${row.attemptId ?? ''} ${phase} ${startedAt}`
    return { key, fate: fateOf(row, isLast, attempt, launch), name: plain(phase), startedAt, endedAt, percent, details }
  })
}

function fateOf(
  { phase, endedAt }: LaunchDetail['phases'][number],
  isLast: boolean,
  attempt: Attempt | undefined,
  launch: LaunchDetail,
): PhaseFate {
  if (phase === 'ready') return 'done'
  if (isLast && attempt?.failure) return 'broken'
  if (isLast && isLeaving(launch.state))
    return launch.failure && launch.failure.code !== 'cancelled' ? 'broken' : 'stopped'
  return endedAt === null ? 'open' : 'done'
}
