import { type CloudTraits, decideNode, type NodeView } from './decide-node.ts'
import { failureRecord } from './failure.ts'
import type { NodeFact, NodeState } from './node-table.ts'

export const traits: CloudTraits = {
  confirmGoneMs: 100,
  listingLagMs: 1_000,
  askLimitMs: 3_000,
  requestLimitMs: 10_000,
  bootLimitMs: 20_000,
  loadLimitMs: 30_000,
  drainLimitMs: 40_000,
  lookMs: 10_000,
  lookFastMs: 250,
}
export const now = 1_000_000

/** A node of which nothing is known but its state, since ten seconds less one tick. */
export function node(state: NodeState, over: Partial<NodeView> = {}): NodeView {
  return {
    state,
    stateSince: now - 9_999,
    watchedSince: 0,
    placed: true,
    unwantedAt: null,
    drainAskedAt: state === 'draining' ? now : null,
    askedAt: state === 'releasing' ? 0 : null,
    askOpen: false,
    queuedUntil: null,
    refusal: null,
    sighting: null,
    firstSeenAt: null,
    joinedAt: null,
    answeredAt: null,
    heardAt: null,
    silentAfterMs: 0,
    drainDeadlineAt: null,
    drainedAt: null,
    holdUntil: state === 'held' ? now + 90_000 : null,
    failure: null,
    spot: true,
    notice: null,
    gpuFaults: [],
    verdict: 'unknown',
    mayRelease: true,
    paused: false,
    ...over,
  }
}

export const absent = (since: number, at = now): Partial<NodeView> => ({
  sighting: { seen: 'absent', at, absentSince: since },
})
export const present: Partial<NodeView> = { sighting: { seen: 'present', at: now, absentSince: null } }
export const refusal = failureRecord('no_capacity', 'Full.')
export const engineFailed = failureRecord('engine_failed', 'It fell over.')
export const factOf = (view: NodeView, at = now) => decideNode(view, traits, at).fact

/** What has to be known for each fact to hold. */
export const known: Record<NodeFact, Partial<NodeView>> = {
  vanished: absent(now - 100),
  unwanted: { unwantedAt: now },
  refused: { refusal },
  failed: { failure: engineFailed },
  dead: { verdict: 'dead' },
  drained: { drainedAt: now },
  drain_asked: { drainAskedAt: now },
  notice_withdrawn: { drainAskedAt: null },
  held: { failure: engineFailed, drainedAt: now, holdUntil: now + 1 },
  answered: { answeredAt: now },
  joined: { joinedAt: now },
  sighted: present,
  expired: { stateSince: now - 50_000, askedAt: now - 50_000, holdUntil: null },
  placed: {},
}
