import type { LaunchState } from './launch-table.ts'
import type { NodeState } from './node-table.ts'
import { phaseOfStage } from './stage.ts'

/** What an engine does between its start and its first answer; its own log tells. Silence belongs to the phase before it. */
export const enginePhases = [
  'engine_start',
  'engine_init',
  'weights_download',
  'weights_load',
  'compile',
  'kv_cache',
  'graphs',
  'warmup',
  'server_start',
] as const
export type EnginePhase = (typeof enginePhases)[number]

/** What is put on a machine that comes without its engine. */
export const installPhases = Object.values(phaseOfStage)

/** The phases of one launch in their order. A silent stretch has a name too: nothing happens between phases. */
export const phases = [
  'queued',
  'requesting',
  'booting',
  'joined',
  ...installPhases,
  ...enginePhases,
  'verifying',
  'ready',
] as const
export type Phase = (typeof phases)[number]

/** Phases that the agent reports; the others follow from the states of launch and node. */
export const agentPhases = phases.slice(phases.indexOf('joined'), phases.indexOf('ready')) as readonly Phase[]

export const isAgentPhase = (name: string): name is Phase => (agentPhases as readonly string[]).includes(name)

export const isPhase = (name: string): name is Phase => (phases as readonly string[]).includes(name)

/** The phase that the states alone tell; while a node loads, the agent's last report is more precise. */
export function phaseOfStates(launch: LaunchState, node: NodeState | null): Phase {
  if (launch === 'live') return 'ready'
  if (launch === 'queued' || node === null || node === 'intended') return 'queued'
  if (node === 'requesting') return 'requesting'
  if (node === 'booting') return 'booting'
  return node === 'loading' ? 'joined' : 'ready'
}

/** Median duration of each phase in the past, in ms; phases that were never seen are absent. */
export type PhasePast = ReadonlyMap<string, number>

export interface Progress {
  readonly phase: Phase
  /** 0 to 100, monotone over the phases; 100 only when ready. */
  readonly percent: number
  /** Time until ready, or null where there is no past to learn from. */
  readonly etaMs: number | null
}

// Guesses for a first launch ever, in ms: only the proportions matter.
const guess: Readonly<Record<Phase, number>> = {
  queued: 500,
  requesting: 2_000,
  booting: 20_000,
  joined: 500,
  python_install: 5_000,
  engine_install: 45_000,
  streamer_install: 2_000,
  model_fetch: 30_000,
  engine_start: 15_000,
  engine_init: 10_000,
  weights_download: 30_000,
  weights_load: 15_000,
  compile: 15_000,
  kv_cache: 2_000,
  graphs: 5_000,
  warmup: 2_000,
  server_start: 1_000,
  verifying: 500,
  ready: 0,
}

export interface Answering {
  readonly state: LaunchState
  readonly stateSince: string
  readonly attempts: readonly { readonly id: string }[]
  readonly phases: readonly { readonly attemptId: string | null; readonly phase: Phase; readonly startedAt: string }[]
}

/** When a launch first answered, which is where its time stops; null where its last attempt has not. */
export function launchReadyAt({ state, stateSince, attempts, phases: gone }: Answering): string | null {
  const last = attempts.at(-1)?.id
  const ready = gone.find(({ attemptId, phase }) => attemptId === last && phase === 'ready')
  return ready?.startedAt ?? (state === 'live' ? stateSince : null)
}

/** Where a launch stands: past durations are the weights; `within` is the share done (0..1) that the phase told of itself. */
export function progressOf(phase: Phase, elapsedMs: number, within: number | null, past: PhasePast): Progress {
  if (phase === 'ready') return { phase, percent: 100, etaMs: 0 }
  // Phases that took no time at all are no past to learn from.
  const known = [...past.values()].some((ms) => ms > 0)
  const weight = (name: Phase) => (known ? (past.get(name) ?? 0) : guess[name])
  const sumOf = (names: readonly Phase[]) => names.reduce((sum, name) => sum + weight(name), 0)
  const at = phases.indexOf(phase)
  const here = weight(phase)
  const done = here * (within === null ? shareDone(elapsedMs, here) : Math.min(1, Math.max(0, within)))
  const after = sumOf(phases.slice(at + 1))
  const percent = Math.min(99, Math.floor((100 * (sumOf(phases.slice(0, at)) + done)) / sumOf(phases)))
  return { phase, percent, etaMs: known ? Math.round(here - done + after) : null }
}

export interface PhaseToCome {
  readonly phase: Phase
  readonly usualMs: number
}

/** The phases that follow, and how long each usually takes; none where there is no past to learn from. */
export function phasesAfter(phase: Phase, past: PhasePast): PhaseToCome[] {
  return phases.slice(phases.indexOf(phase) + 1).flatMap((name) => {
    const ms = Math.round(past.get(name) ?? 0)
    return ms > 0 ? [{ phase: name, usualMs: ms }] : []
  })
}

/** A phase that takes longer than ever creeps towards its end and never reaches it. */
function shareDone(elapsedMs: number, usualMs: number): number {
  const nearlyMs = usualMs * 0.9
  return elapsedMs <= nearlyMs ? elapsedMs / Math.max(1, usualMs) : 1 - (0.1 * nearlyMs) / Math.max(1, elapsedMs)
}
