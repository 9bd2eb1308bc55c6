import { type Cloud, CloudRefuses, type ListedMachine } from '../clouds/cloud.ts'
import { type CloudTraits, decideNode, type NodeDecision, stateLimit, stateLimitAt } from '../core/decide-node.ts'
import { inGrace } from '../core/guard.ts'
import { loopActs } from '../core/loop-table.ts'
import type { NodeState } from '../core/node-table.ts'
import type { Pace } from '../core/pace.ts'
import type { Claim } from '../store/claims.ts'
import { nudge } from '../store/claims.ts'
import { joinTokenFor } from '../store/join-token.ts'
import { closeAsk, loadNode, type NodeForLoop, openAsk, saveNodeDecision } from '../store/nodes.ts'
import { timeOfNode } from '../store/time-spent.ts'
import { type ControlDeps, paceNow } from './context.ts'
import type { Loop, PassResult } from './driver.ts'

// With less than this share of the claim left, an effect waits for the next pass: a fenced write fences no effect.
const effectShare = 0.25

// Two that were lost, and the half of one for the way.
const lostHeartbeats = 2.5

// How long a state may rest without a nudge. Only a floor: sightings and words of agents wake the node by themselves.
const restMs: Readonly<Record<NodeState, number | null>> = {
  intended: 0,
  requesting: 2_000,
  booting: 10_000,
  loading: 5_000,
  ready: 15_000,
  draining: 1_000,
  held: 15_000,
  releasing: 1_000,
  gone: null,
}

// An ask that was taken is the cloud's to work on: looks, words of the agent and the time limit wake the node.
const answeredRestMs = 10_000

const isAnswered = ({ view }: NodeForLoop): boolean => view.askedAt !== null && !view.askOpen

/** The only writer of node state. */
export function nodeLoop(deps: ControlDeps): Loop {
  return {
    name: 'node',
    everyMs: 15_000,
    parallel: 16,
    holdMs: deps.settings.claimHoldMs,
    acts: loopActs.node,
    pass: (claim) => reconcileNode(deps, claim),
  }
}

/** Moves one claimed node one step towards what is wanted. It takes no event: rows and sightings say it all. */
export async function reconcileNode(deps: ControlDeps, claim: Claim): Promise<PassResult> {
  const pace = await paceNow(deps)
  const node = await loadNode(deps.db, claim.rowId, {
    watchedSince: deps.continuity.since,
    silentAfterMs: lostHeartbeats * pace.heartbeatMs,
  })
  if (!node) return { moved: false, nextDueAt: null }
  const cloud = deps.clouds.get(node.cloud)
  if (!cloud) throw new Error(`node ${node.name} is in the cloud "${node.cloud}", which is not configured`)
  const now = deps.clock.now()
  const traits = cloud.traitsFor?.(node.offer) ?? cloud.traits
  const next = await decide(deps, node, pace, traits, now)
  if (!(await saveNodeDecision(deps.db, claim, node, next, now))) return { moved: false, nextDueAt: now }
  await fulfil(deps, cloud, claim, node, next.state)
  const moved = next.fact !== null
  // A ready node runs no limit out; whatever may become of it is told and wakes it. One that is lost waits.
  const isLost = node.view.verdict === 'dead' || node.view.failure !== null
  const rests = !moved && next.state === 'ready' && !isLost
  return { moved, nextDueAt: dueAt(deps, traits, node, next.state, moved), rests }
}

/** Where the time went is asked only when it has run out: it is two more statements for every pass over every node. */
async function decide(
  deps: ControlDeps,
  node: NodeForLoop,
  { graceMs }: Pace,
  traits: CloudTraits,
  now: number,
): Promise<NodeDecision> {
  const { db, continuity } = deps
  const deafAt = Math.max(continuity.since, continuity.heldUpAt ?? continuity.since)
  const mayRelease = node.view.mayRelease && !inGrace(deafAt, now, graceMs)
  const view = { ...node.view, mayRelease }
  const next = decideNode(view, traits, now)
  const limit = next.fact === 'expired' ? stateLimit(view, traits) : null
  if (!limit) return next
  return decideNode({ ...view, spent: await timeOfNode(db, node.id, { ...limit, now }) }, traits, now)
}

function dueAt(
  deps: ControlDeps,
  traits: CloudTraits,
  node: NodeForLoop,
  state: NodeState,
  moved: boolean,
): number | null {
  const now = deps.clock.now()
  // The next step may be due already: what wakes us need not come twice.
  if (moved && state !== 'gone') return now
  const rest = state === 'requesting' && isAnswered(node) ? answeredRestMs : restMs[state]
  if (rest === null) return null
  const limitAt = stateLimitAt({ ...node.view, state }, traits)
  return limitAt === null || limitAt <= now ? now + rest : Math.min(now + rest, limitAt)
}

/** What the state asks of the world, on every pass, until the world agrees: a crash before it is healed by the next. */
async function fulfil(
  deps: ControlDeps,
  cloud: Cloud,
  claim: Claim,
  node: NodeForLoop,
  state: NodeState,
): Promise<void> {
  if (claim.until - deps.clock.now() < effectShare * deps.settings.claimHoldMs) return
  if (state === 'requesting') await ensureAsked(deps, cloud, claim, node)
  // No nudge for a look here: each look wakes the node, and the two would chase each other as fast as they can.
  if (state === 'releasing') await cloud.ensureGone(node.name)
}

/** Asks for the machine once. An ask whose answer was lost is resolved by looking the name up, never by a new name. */
async function ensureAsked(deps: ControlDeps, cloud: Cloud, claim: Claim, node: NodeForLoop): Promise<void> {
  if (isAnswered(node)) return
  const listed = await lookBeforeAsking(deps, cloud, node)
  if (listed === null) return
  if (listed.some(({ name }) => name === node.name)) {
    await closeAsk(deps.db, node.id, null, deps.clock.now())
  } else {
    const { askedAt } = node.view
    const onlyLook = cloud.asksOnce === true && askedAt !== null
    if (!onlyLook && !(await openAsk(deps.db, claim, node.id, deps.clock.now()))) return
    const joinToken = joinTokenFor(deps.vault, node.id)
    const ask = { name: node.name, offer: node.offer, joinToken }
    const answer = await cloud.ensureMachine(onlyLook ? { ...ask, askedAt } : ask)
    await closeAsk(deps.db, node.id, answer.accepted ? null : answer.refusal, deps.clock.now())
  }
  await nudge(deps.db, 'sight', [cloud.name], deps.clock.now())
  await nudge(deps.db, 'node', [node.id], deps.clock.now())
}

/** Null when the cloud refuses us before anything was asked of it under this name: that is the outcome of the ask. */
async function lookBeforeAsking(deps: ControlDeps, cloud: Cloud, node: NodeForLoop): Promise<ListedMachine[] | null> {
  try {
    if (node.view.askedAt !== null || !cloud.answers) return await cloud.listMachines()
    await cloud.answers()
    return []
  } catch (error) {
    if (!(error instanceof CloudRefuses) || node.view.askedAt !== null) throw error
    await closeAsk(deps.db, node.id, error.refusal, deps.clock.now())
    await nudge(deps.db, 'node', [node.id], deps.clock.now())
    return null
  }
}
