import type { MachineTable } from './machine-table.ts'

export const nodeStates = [
  'intended',
  'requesting',
  'booting',
  'loading',
  'ready',
  'draining',
  'held',
  'releasing',
  'gone',
] as const
export type NodeState = (typeof nodeStates)[number]

export const nodeFacts = [
  'placed',
  'unwanted',
  'sighted',
  'joined',
  'refused',
  'expired',
  'failed',
  'vanished',
  'answered',
  'drain_asked',
  'dead',
  'drained',
  'notice_withdrawn',
  'held',
] as const
export type NodeFact = (typeof nodeFacts)[number]

/** The life of a machine. `billed` is what the cloud may charge while the node is in that state. */
export const nodeTable: MachineTable<NodeState, NodeFact> = {
  intended: { billed: 'no', on: { placed: 'requesting', unwanted: 'gone' } },
  // The request may have been accepted even if its answer was lost, so money may already run. A refusal is not the
  // cloud's word that nothing exists: set-up may have failed on a machine that runs.
  requesting: {
    billed: 'unknown',
    on: { sighted: 'booting', joined: 'loading', refused: 'releasing', expired: 'releasing', unwanted: 'releasing' },
  },
  booting: {
    billed: 'yes',
    // Some clouds say only after minutes that they gave up: an ask that was accepted may be refused in the end.
    on: {
      joined: 'loading',
      refused: 'releasing',
      failed: 'releasing',
      expired: 'releasing',
      held: 'held',
      unwanted: 'releasing',
      vanished: 'gone',
    },
  },
  loading: {
    billed: 'yes',
    on: {
      answered: 'ready',
      failed: 'releasing',
      expired: 'releasing',
      held: 'held',
      unwanted: 'releasing',
      vanished: 'gone',
    },
  },
  // `failed`: the agent's bounded restarts of the engine are used up.
  ready: {
    billed: 'yes',
    on: {
      drain_asked: 'draining',
      failed: 'releasing',
      dead: 'releasing',
      held: 'held',
      unwanted: 'draining',
      vanished: 'gone',
    },
  },
  draining: {
    billed: 'yes',
    on: { drained: 'releasing', expired: 'releasing', held: 'held', notice_withdrawn: 'ready', vanished: 'gone' },
  },
  // It would be released, and somebody wants to look at it first: for as long as they said, or until they let it go.
  held: { billed: 'yes', on: { expired: 'releasing', unwanted: 'releasing', vanished: 'gone' } },
  // Only the cloud's own word ends the bill (if a machine was ever seen); no time limit leads out of here.
  releasing: { billed: 'yes', on: { vanished: 'gone' } },
  // A machine that shows up late is asked to end again, and the bill goes on.
  gone: { billed: 'no', on: { sighted: 'releasing' } },
}
