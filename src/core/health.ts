import type { FailureRecord } from './failure.ts'
import {
  isAccused,
  type Signals,
  type SignalValue,
  severity,
  timeRows,
  type Verdict,
  type VerdictRow,
  verdictOf,
} from './verdict-table.ts'

/** How long each witness's last word counts. Past that it is unknown, never bad. */
export interface SignalAges {
  readonly heartbeatMs: number
  readonly probeMs: number
  readonly sightingMs: number
}

// Heartbeat 10 s and probe 30 s: five and three of them may be lost. Sighting 60 s: stale after three minutes.
export const defaultSignalAges: SignalAges = { heartbeatMs: 50_000, probeMs: 90_000, sightingMs: 180_000 }

/** The last words about a node. Times are epoch ms; null: that witness never spoke. */
export interface Witnesses {
  readonly heardAt: number | null
  readonly failure: FailureRecord | null
  /** When the engine first answered; a probe from before says only that it was starting. */
  readonly readyAt: number | null
  readonly probe: { readonly good: boolean; readonly at: number } | null
  readonly sighting: { readonly seen: 'present' | 'absent'; readonly at: number } | null
}

/** What a witness said last. */
interface Word {
  readonly good: boolean
  readonly at: number
  /** The first moment at which it counts no more. */
  readonly staleAt: number
}

const witnessNames = ['heartbeat', 'probe', 'sighting'] as const
type WitnessName = (typeof witnessNames)[number]

function lastWords(witnesses: Witnesses, ages: SignalAges): Readonly<Record<WitnessName, Word | null>> {
  const { heardAt, failure, readyAt, probe, sighting } = witnesses
  const word = (at: number, ageMs: number, good: boolean): Word => ({ at, staleAt: at + ageMs + 1, good })
  const counts = probe !== null && readyAt !== null && probe.at >= readyAt
  return {
    heartbeat: heardAt === null ? null : word(heardAt, ages.heartbeatMs, failure === null),
    probe: counts ? word(probe.at, ages.probeMs, probe.good) : null,
    sighting: sighting && word(sighting.at, ages.sightingMs, sighting.seen === 'present'),
  }
}

const byWitness = <T>(of: (name: WitnessName) => T): Record<WitnessName, T> => ({
  heartbeat: of('heartbeat'),
  probe: of('probe'),
  sighting: of('sighting'),
})

export function signalsOf(witnesses: Witnesses, ages: SignalAges, now: number): Signals {
  const words = lastWords(witnesses, ages)
  return byWitness((name) => spokenBy(words[name], now))
}

function spokenBy(word: Word | null, now: number): SignalValue {
  if (word === null || now >= word.staleAt) return 'unknown'
  return word.good ? 'good' : 'bad'
}

/** What the witnesses say, and since when each says that. Epoch ms; null: it never spoke, or nobody kept it. */
export interface Said {
  readonly signals: Signals
  readonly since: Readonly<Record<WitnessName, number | null>>
}

/** As it was kept; of a node that was never judged nobody has said anything. */
export const saidBefore = (signals: Said['signals'] | null, since: Said['since'] | null): Said => ({
  signals: signals ?? byWitness(() => 'unknown'),
  since: since ?? byWitness(() => null),
})

/** Witnesses that say something else now. */
export const turned = (before: Signals, now: Signals): WitnessName[] =>
  witnessNames.filter((name) => before[name] !== now[name])

/** Whoever says the same goes on; something else is said since the word that says it, nothing since the last one went stale. */
export function saidNow(before: Said, witnesses: Witnesses, ages: SignalAges, now: number): Said {
  const words = lastWords(witnesses, ages)
  const signals = signalsOf(witnesses, ages, now)
  const since = byWitness((name) => {
    if (signals[name] === before.signals[name]) return before.since[name]
    return words[name]?.[signals[name] === 'unknown' ? 'staleAt' : 'at'] ?? null
  })
  return { signals, since }
}

/**
 * Since when a node counts as silent, or null: neither its agent nor its engine has been heard for half of what makes a
 * heartbeat stale, two lost heartbeats. It accuses nobody; its cloud is asked about it sooner.
 */
export function silentSince(
  witnesses: Witnesses,
  ages: SignalAges,
  listeningSince: number,
  now: number,
): number | null {
  const { heardAt, probe } = witnesses
  const answeredAt = probe?.good ? probe.at : Number.NEGATIVE_INFINITY
  const since = Math.max(heardAt ?? Number.NEGATIVE_INFINITY, answeredAt, listeningSince) + ages.heartbeatMs / 2
  return since <= now ? since : null
}

/** A suspect is called dead after this long: the "long time" that stands in for the cloud's word. A guess. */
export const suspectLimitMs = 30 * 60_000

/** Accusations within this time of each other are one bout: a node that flaps. A guess. */
const boutMs = 10 * 60_000
// After its second accusation of a bout a node has to be well for this long before it gets requests again; then twice that.
export const firstTrialMs = 15_000
const longestTrialMs = 300_000

/** What is remembered of a node's verdicts. Times are epoch ms. */
export interface Standing {
  readonly verdict: Verdict
  readonly since: number
  /** Times in this bout that it was accused, the last one of them, and since when the table says that it is well. */
  readonly accusations: number
  readonly accusedAt: number | null
  readonly wellSince: number | null
}

/** The row that applies, and what is to be remembered. */
export interface Judgement extends Pick<Standing, 'accusations' | 'accusedAt' | 'wellSince'> {
  readonly row: VerdictRow
}

/**
 * The verdict with the row that applied. Time turns `suspect` into `dead`, never anything else, and a node that flaps has
 * to be well for a while before it is believed.
 */
export function judge(signals: Signals, before: Standing, now: number): Judgement {
  const applied = verdictOf(signals)
  const { verdict } = applied
  const { accusations, accusedAt } = before
  if (isAccused(verdict)) {
    const longSuspect = before.verdict === 'suspect' && now - before.since >= suspectLimitMs
    const dead = verdict === 'suspect' && (longSuspect || before.verdict === 'dead')
    const row = dead ? timeRows.tooLong : applied
    if (isAccused(before.verdict)) return { row, accusations, accusedAt, wellSince: null }
    const again = accusedAt !== null && now - accusedAt < boutMs
    return { row, accusations: again ? accusations + 1 : 1, accusedAt: now, wellSince: null }
  }
  const wellSince = isAccused(before.verdict) ? (before.wellSince ?? now) : null
  if (wellSince === null || now - wellSince >= trialMs(accusations))
    return { row: applied, accusations, accusedAt, wellSince: null }
  return { row: timeRows.onTrial, accusations, accusedAt, wellSince }
}

const trialMs = (accusations: number): number =>
  accusations < 2 ? 0 : Math.min(firstTrialMs * 2 ** (accusations - 2), longestTrialMs)

/** How a node feels as one number: 100 well, 0 dead; null while nothing is known. */
export function healthScore(verdict: Verdict): number | null {
  return verdict === 'unknown' ? null : Math.round(100 - (100 * severity[verdict]) / severity.dead)
}
