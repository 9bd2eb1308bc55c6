import { failures, isFailureCode } from '../core/failure.ts'
import { guardKinds } from '../core/guard.ts'
import { isOver, launchOutcomes, launchStates } from '../core/launch-table.ts'
import { nodeStates } from '../core/node-table.ts'
import { noticeKinds } from '../core/notice.ts'
import { verdicts } from '../core/verdict-table.ts'
import type { Metrics } from '../lib/metrics.ts'
import type { Db } from '../store/database.ts'
import { type Figures, readFigures } from '../store/read-figures.ts'
import { readStatus, type StatusRow } from '../store/read-status.ts'
import { isLate } from './present-status.ts'

// Past this, a cloud without nodes that nobody asks any more is one that was taken out of the configuration.
const askedWithinMs = 15 * 60_000

/**
 * What the rows say of the world, read when somebody looks. Every word that a label can have is there, with 0 where
 * there is none: what appears only when it goes wrong has no past to compare it with.
 */
export function worldMetrics(metrics: Metrics) {
  const fleet = fleetMetrics(metrics)
  const health = healthMetrics(metrics)
  return {
    async read(db: Db, now: number): Promise<void> {
      const status = await readStatus(db, now)
      const figures = await readFigures(db, now - askedWithinMs)
      fleet(status, figures, now)
      health(status, figures, now)
    },
  }
}

/** What can be wrong with a machine. An agent may tell a code that is not in the catalogue; a label takes no word of it. */
const machineFailures = Object.entries(failures).flatMap(([code, { fault }]) =>
  fault === 'node' || fault === 'cloud' ? [code] : [],
)

type Fill = (status: StatusRow, figures: Figures, now: number) => void

/** Nodes, launches and replicas. */
function fleetMetrics(metrics: Metrics): Fill {
  const nodes = metrics.gauge('nodes', 'Nodes by state and verdict.', ['state', 'verdict'])
  const longest = metrics.gauge('node_longest_seconds', 'The longest that a node is in a state.', ['state'])
  const notices = metrics.gauge('notices', 'Nodes with a notice that stands, by kind.', ['kind'])
  const unheard = metrics.gauge('notices_unheard', 'Nodes that cannot ask their cloud for notices.')
  const failed = metrics.counter('nodes_failed_total', 'Nodes that failed, by what was wrong.', ['code'])
  const gpuFaults = metrics.counter('gpu_faults_total', 'Faults of GPUs that nodes have told.')
  const launches = metrics.gauge('launches', 'Launches that are not over, by state.', ['state'])
  const over = metrics.counter('launches_over_total', 'Launches that are over, by outcome.', ['outcome'])
  const replicas = {
    wanted: metrics.gauge('replicas_wanted', 'Replicas that a deployment wants.', ['deployment']),
    held: metrics.gauge('replicas_held', 'Of them, those that a launch stands for.', ['deployment']),
    serving: metrics.gauge('replicas_serving', 'Nodes that are ready and not accused.', ['deployment']),
  }
  return (status, figures, now) => {
    for (const state of nodeStates) {
      for (const verdict of verdicts) nodes.set({ state, verdict }, 0)
      if (state !== 'gone') longest.set({ state }, 0)
    }
    for (const { state, verdict, count } of status.nodes) nodes.set({ state, verdict }, count)
    for (const { state, since } of figures.states) longest.set({ state }, (now - since) / 1_000)
    for (const kind of noticeKinds) notices.set({ kind }, 0)
    for (const { kind, count } of figures.notices) notices.set({ kind }, count)
    unheard.set(figures.noticesUnheard)
    failed.reset()
    for (const code of machineFailures) failed.inc({ code }, 0)
    for (const { code, count } of figures.failed) failed.inc({ code: isFailureCode(code) ? code : 'other' }, count)
    gpuFaults.reset()
    gpuFaults.inc(figures.gpuFaults)
    for (const state of launchStates) if (!isOver(state)) launches.set({ state }, 0)
    for (const { state, count } of status.launches) launches.set({ state }, count)
    over.reset()
    for (const outcome of launchOutcomes) over.inc({ outcome }, 0)
    for (const { outcome, count } of figures.launchesOver) over.inc({ outcome }, count)
    for (const gauge of Object.values(replicas)) gauge.reset()
    for (const { name: deployment, wanted, held, serving } of figures.deployments) {
      replicas.wanted.set({ deployment }, wanted)
      replicas.held.set({ deployment }, held)
      replicas.serving.set({ deployment }, serving)
    }
  }
}

/** Money, and what keeps the control plane from its work. */
function healthMetrics(metrics: Metrics): Fill {
  const burn = metrics.gauge('burn_dollars_per_hour', 'What is paid for now.')
  const orphans = metrics.gauge('orphans', 'Machines with the tag of this install that no row knows.')
  const paused = metrics.gauge('automation_paused', 'Whether automation is paused.')
  const guarded = metrics.gauge('guard_active', 'Whether the guard holds releases back.')
  const holds = metrics.counter('guard_holds_total', 'Times that the guard held, by what held it.', ['guard'])
  const late = metrics.gauge('loop_late', 'Whether a loop leaves alone what is due.', ['loop'])
  const looks = metrics.gauge('cloud_look_timestamp_seconds', 'When a cloud last said what runs there.', ['cloud'])
  return (status, figures, now) => {
    burn.set(status.burnPerHourMicroUsd / 1_000_000)
    orphans.set(status.orphans.length)
    paused.set(status.paused ? 1 : 0)
    guarded.set(status.guard === null ? 0 : 1)
    holds.reset()
    for (const guard of guardKinds) holds.inc({ guard }, 0)
    for (const { guard, count } of figures.guardHolds) holds.inc({ guard }, count)
    late.reset()
    for (const row of status.loops) late.set({ loop: row.loop }, isLate(row, status.paused, now) ? 1 : 0)
    looks.reset()
    for (const { name: cloud, lookedAt } of figures.clouds) looks.set({ cloud }, (lookedAt ?? 0) / 1_000)
  }
}
