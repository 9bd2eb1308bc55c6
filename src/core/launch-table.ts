import type { MachineTable } from './machine-table.ts'

export const launchStates = [
  'queued',
  'attempting',
  'backing_off',
  'live',
  'ending',
  'ended',
  'failed',
  'cancelled',
  'timed_out',
] as const
export type LaunchState = (typeof launchStates)[number]

export const launchFacts = [
  'admitted',
  'node_ready',
  'attempt_failed',
  'retry_due',
  'exhausted',
  'unwanted',
  'expired',
  'node_lost',
  'cleared_ended',
  'cleared_failed',
  'cleared_cancelled',
  'cleared_timed_out',
] as const
export type LaunchFact = (typeof launchFacts)[number]

export const launchOutcomes = ['ended', 'failed', 'cancelled', 'timed_out'] as const
export type LaunchOutcome = (typeof launchOutcomes)[number]

/** The durable effort to get one node. An end state means that nothing of the launch is left running. */
export const launchTable: MachineTable<LaunchState, LaunchFact> = {
  queued: { billed: 'no', on: { admitted: 'attempting', unwanted: 'ending', expired: 'ending', exhausted: 'ending' } },
  attempting: {
    billed: 'unknown',
    on: {
      node_ready: 'live',
      attempt_failed: 'backing_off',
      exhausted: 'ending',
      unwanted: 'ending',
      expired: 'ending',
    },
  },
  // The machine of the failed attempt may still be on its way out, so money may still run here.
  backing_off: {
    billed: 'unknown',
    on: { retry_due: 'attempting', exhausted: 'ending', unwanted: 'ending', expired: 'ending' },
  },
  live: { billed: 'yes', on: { node_lost: 'ending', unwanted: 'ending' } },
  // Left only when every node of the launch is gone; the fact names the outcome that was decided on the way in.
  ending: {
    billed: 'unknown',
    on: {
      cleared_ended: 'ended',
      cleared_failed: 'failed',
      cleared_cancelled: 'cancelled',
      cleared_timed_out: 'timed_out',
    },
  },
  ended: { billed: 'no', on: {} },
  failed: { billed: 'no', on: {} },
  cancelled: { billed: 'no', on: {} },
  timed_out: { billed: 'no', on: {} },
}

/** True once nothing of the launch is left running. */
export const isOver = (state: LaunchState): boolean => Object.keys(launchTable[state].on).length === 0

/** True from the moment that nothing of the launch shall be left running. */
export const isLeaving = (state: LaunchState): boolean => state === 'ending' || isOver(state)
