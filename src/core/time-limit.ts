import type { FailureRecord } from './failure.ts'
import type { Phase } from './phases.ts'

/** One phase's share of the time that a limit counts. */
export interface PhaseSpent {
  readonly phase: Phase
  readonly ms: number
  /** It was the one that was open when the time ran out. */
  readonly isOpen: boolean
  /** Of phases that fetch something. */
  readonly bytesPerS: number | null
}

/** Where the time of an attempt, or of a whole launch, went. `step`: what its cloud worked on last, in its own words. */
export interface TimeSpent {
  readonly limitMs: number
  readonly phases: readonly PhaseSpent[]
  readonly step: string | null
  /** Why the cloud cannot be asked now, where it cannot. */
  readonly cloudSilent: string | null
  /** The last lines of the machine's log, the newest last: what the engine, or the agent about it, said before the time was up. */
  readonly lastLines: readonly string[]
}

const longestEvidence = 2_000

/** What the machine said itself is worth more than our guess. */
export const evidenceOf = ({ lastLines }: TimeSpent): { evidence?: string } =>
  lastLines.length > 0 ? { evidence: lastLines.join('\n').slice(-longestEvidence) } : {}

interface Blame {
  readonly words: string
  readonly likely: string
  readonly remedy: string
}

const raise =
  'or raise the time limit (`--time-limit`, `launch.timeLimitS`; `local.loadLimitS` for an engine on this host)'
const download: Omit<Blame, 'words'> = {
  likely: 'a slow download',
  remedy: `Use a nearer mirror, an image that brings the engine, or another place; ${raise}.`,
}
const engineStart: Omit<Blame, 'words'> = {
  likely: 'an engine that starts slowly or hangs',
  remedy: `Read its log (\`flightdeck logs NODE\`); ${raise}.`,
}

const blames: Readonly<Partial<Record<Phase, Blame>>> = {
  queued: { words: 'our own queue', likely: 'too much at a time', remedy: `Wait until others are done, ${raise}.` },
  requesting: {
    words: 'provisioning',
    likely: 'no capacity',
    remedy:
      'Allow more offers (other GPUs, regions, clouds, spot and on demand), or raise the `requestLimitMin` of the cloud.',
  },
  booting: {
    words: 'the start of the machine',
    likely: 'a slow image, or no way from it to our public address',
    remedy:
      'Check that the machine reaches the public address; for a slow image raise the `bootLimitMin` of the cloud.',
  },
  python_install: { words: 'installing Python', ...download },
  engine_install: { words: 'installing the engine', ...download },
  streamer_install: { words: 'installing the streamer', ...download },
  model_fetch: { words: 'fetching the model', ...download },
  weights_download: { words: 'downloading the weights', ...download },
  weights_load: {
    words: 'loading the weights',
    likely: 'a slow disk, or an engine that hangs',
    remedy: `Take a machine with a faster disk, or stream the weights; ${raise}.`,
  },
}

const waitsForCloud: ReadonlySet<Phase> = new Set(['requesting', 'booting'])
const serverRemedy =
  'See why the server that speaks for the cloud does not answer. Machines that it may have made are ended once it does.'

const blameOf = (phase: Phase): Blame =>
  blames[phase] ?? { words: `starting the engine (${phase.replaceAll('_', ' ')})`, ...engineStart }

/** Whole minutes, or seconds where the limit is shorter than two minutes. */
function timeWords(limitMs: number): (ms: number) => number {
  return (ms) => Math.round(ms / (limitMs < 120_000 ? 1_000 : 60_000))
}

/**
 * Why the time ran out: `14 of 15 min in provisioning: likely no capacity.` The phase that was open at the end is to
 * blame; where another one took more of the time, it is named beside it. Null where no phase is known.
 */
export function whereTimeWent({
  limitMs,
  phases,
  step,
  cloudSilent,
}: TimeSpent): Pick<FailureRecord, 'cause' | 'remedy'> | null {
  const longest = phases.reduce<PhaseSpent | null>((best, one) => (best && best.ms >= one.ms ? best : one), null)
  // Between two attempts none is open.
  const open = phases.findLast(({ isOpen }) => isOpen) ?? longest
  if (!open || !longest) return null
  const count = timeWords(limitMs)
  const unit = limitMs < 120_000 ? 's' : 'min'
  const inPhase = ({ phase, bytesPerS }: PhaseSpent) =>
    `in ${blameOf(phase).words}${bytesPerS === null ? '' : ` at ${(bytesPerS / 1e6).toFixed(1)} MB/s`}`
  const before = longest.ms > open.ms ? `, after ${count(longest.ms)} ${unit} ${inPhase(longest)}` : ''
  const where = `${count(open.ms)} of ${count(limitMs)} ${unit} ${inPhase(open)}${before}`
  if (cloudSilent !== null && waitsForCloud.has(open.phase))
    return { cause: `${where}, and nobody could ask the cloud: ${cloudSilent}`, remedy: serverRemedy }
  const { likely, remedy } = blameOf(open.phase)
  const said = step !== null && open.phase === 'requesting' ? ` Its cloud worked on: ${step}` : ''
  return { cause: `${where}: likely ${likely}.${said}`, remedy }
}
