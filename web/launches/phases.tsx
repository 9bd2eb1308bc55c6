import { humanMs, humanRough } from '../../src/core/human-time.ts'
import { isLeaving } from '../../src/core/launch-table.ts'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { ProgressBar } from '../parts/bar.tsx'
import { Panel } from '../parts/panel.tsx'
import { Elapsed } from '../parts/time.tsx'
import { plain } from '../words/states.ts'
import look from './launch.module.css'
import { type PhaseFate, type PhaseRow, phaseRows } from './phase-rows.ts'

const signs: Readonly<Record<PhaseFate, { readonly sign: string; readonly word: string }>> = {
  done: { sign: '✓', word: 'done' },
  open: { sign: '▸', word: 'running' },
  broken: { sign: '✗', word: 'failed here' },
  stopped: { sign: '◇', word: 'was ended here' },
}

export interface PhasesProps {
  readonly launch: LaunchDetail
  readonly attempt: LaunchDetail['attempts'][number] | undefined
}

/** What the launch went through, what it does now and since when, and when it is expected to be ready. */
export function Phases({ launch, attempt }: PhasesProps) {
  const rows = phaseRows(launch, attempt)
  const isOnItsWay = launch.state !== 'live' && !isLeaving(launch.state)
  return (
    <Panel title="Phases" sub={nthOf(attempt, launch, isOnItsWay)} flush>
      <ol className={look['phases']}>
        {rows.map((row) => (
          <Phase key={row.key} row={row} />
        ))}
        {isOnItsWay && attempt === launch.attempts.at(-1) && (
          <>
            {launch.phasesToCome.map(({ phase, usualMs }) => (
              <ToCome key={phase} name={plain(phase)} when={`usually ${humanMs(usualMs)}`} />
            ))}
            <ToCome name="ready" when={launch.etaMs === null ? null : `in about ${humanRough(launch.etaMs)}`} />
          </>
        )}
      </ol>
    </Panel>
  )
}

function nthOf(attempt: PhasesProps['attempt'], launch: LaunchDetail, isOnItsWay: boolean): string | null {
  if (!attempt) return null
  if (isOnItsWay) return `attempt ${attempt.ordinal} of at most ${launch.attemptsAtMost}`
  return launch.attempts.length > 1 ? `attempt ${attempt.ordinal} of ${launch.attempts.length}` : null
}

function ToCome({ name, when }: { readonly name: string; readonly when: string | null }) {
  return (
    <li className={look['next']}>
      <span className={look['sign']} aria-hidden="true">
        ○
      </span>
      <span>
        {name}
        <span className="unseen"> to come</span>
      </span>
      <span>{when}</span>
    </li>
  )
}

function Phase({ row: { fate, name, startedAt, endedAt, percent, details } }: { readonly row: PhaseRow }) {
  const isReady = name === 'ready'
  return (
    <li className={look[fate]} aria-current={fate === 'open' ? 'step' : undefined}>
      <span className={look['sign']} aria-hidden="true">
        {signs[fate].sign}
      </span>
      <span className={look['name']}>
        {name}
        <span className="unseen"> {signs[fate].word}</span>
      </span>
      <span className={look['details']}>
        {fate === 'open' && percent !== null && (
          <>
            <ProgressBar percent={percent} label={name} />
            <span>{Math.floor(percent)} %</span>
          </>
        )}
        {details.map((text) => (
          <span key={text}>{text}</span>
        ))}
      </span>
      <span>{!isReady && <Elapsed from={startedAt} to={endedAt} />}</span>
    </li>
  )
}
