import { type FailureRecord, failureRecord } from './failure.ts'

/** Services on a machine that tell of its end beforehand; a cloud without one has only the signal. */
export const noticeServices = ['aws', 'gcp', 'azure'] as const
export type NoticeService = (typeof noticeServices)[number]

/** Who announced it: the cloud's own service, or the signal by which every system ends its processes. */
export const noticeSources = [...noticeServices, 'signal'] as const
export type NoticeSource = (typeof noticeSources)[number]

/** The most urgent first. `rebalance` says that the risk has risen and no more: AWS sends it early, late or with a reclaim. */
export const noticeKinds = ['reclaim', 'maintenance', 'rebalance'] as const
export type NoticeKind = (typeof noticeKinds)[number]

/** What is announced for one machine, as its agent tells it. */
export interface Announcement {
  readonly source: NoticeSource
  readonly kind: NoticeKind
  /** In the cloud's word: terminate, stop, hibernate, Preempt, Reboot, ... */
  readonly action: string
  /** Time left until the machine is taken; null where the cloud does not say. */
  readonly leftMs: number | null
}

/** What an agent says of the machine's end. */
export interface NoticeWord {
  /** Whether the cloud's service answers; null where there is none. */
  readonly serviceAnswers: boolean | null
  readonly notice: Announcement | null
}

/** A notice as it stands. Times are epoch ms. */
export interface Notice extends Omit<Announcement, 'leftMs'> {
  readonly toldAt: number
  readonly takenAt: number | null
}

export const noticeServiceOf = (cloud: string): NoticeService | null =>
  noticeServices.find((service) => service === cloud) ?? null

/** Whether requests have to leave the machine. A risk alone ends nothing. */
export const endsMachine = <Told extends Pick<Notice, 'kind'>>(notice: Told | null): notice is Told =>
  notice !== null && notice.kind !== 'rebalance'

/**
 * The notice that stands after an agent's word. One that is repeated stays the same, and its time comes nearer but never
 * moves away; a service that does not answer withdraws nothing.
 */
export function noticeAfter(before: Notice | null, { serviceAnswers, notice }: NoticeWord, now: number): Notice | null {
  if (notice === null) return before !== null && before.source !== 'signal' && serviceAnswers !== true ? before : null
  const { source, kind, action, leftMs } = notice
  const takenAt = leftMs === null ? null : now + leftMs
  if (!before || !isSame(before, notice)) return { source, kind, action, toldAt: now, takenAt }
  return { ...before, takenAt: earlier(before.takenAt, takenAt) }
}

type Named = Pick<Notice, 'source' | 'kind' | 'action'>

export const isSame = (one: Named | null, other: Named | null): boolean =>
  one?.source === other?.source && one?.kind === other?.kind && one?.action === other?.action

export const earlier = (one: number | null, other: number | null): number | null =>
  one === null || other === null ? (one ?? other) : Math.min(one, other)

// What ending the engine takes after the last request: the time that vLLM is given to stop.
const stopMarginMs = 10_000
// Host maintenance is announced an hour before; nobody's answer takes that long. A guess.
const longestDrainMs = 600_000

/** Until when requests in flight may take: inside the notice, with time left to stop the engine. */
export function drainBy({ toldAt, takenAt }: Notice): number {
  const longest = toldAt + longestDrainMs
  return takenAt === null ? longest : Math.max(toldAt, Math.min(longest, takenAt - stopMarginMs))
}

/** The same with what a drain by hand has set: the earlier of the two; null where neither says so. */
export function drainUntil({ drainDeadlineAt, notice }: { drainDeadlineAt: number | null; notice: Notice | null }) {
  return earlier(drainDeadlineAt, endsMachine(notice) ? drainBy(notice) : null)
}

/** A spot machine that EC2 takes within its first hour costs nothing; one that we end is charged (AWS's billing page). */
const awsFreeMs = 3_600_000
// What EC2 may be late by; a machine that it has not taken by then is ours to end. A guess.
const awsLateMs = 120_000

/** Until when the end of the machine is left to its cloud, because that makes it free; null: it is not. */
export function releaseNotBefore(notice: Notice, spot: boolean, firstSeenAt: number | null): number | null {
  const { source, kind, takenAt } = notice
  if (source !== 'aws' || kind !== 'reclaim' || !spot || takenAt === null || firstSeenAt === null) return null
  return takenAt - firstSeenAt < awsFreeMs ? takenAt + awsLateMs : null
}

/** What is known of a machine that is gone, as far as what its cloud charges for it goes. */
export interface Ended {
  readonly notice: Notice | null
  readonly spot: boolean
  /** When it was asked for, and since when its cloud does not list it: no machine was there before or after. */
  readonly askedAt: number | null
  readonly absentSince: number | null
  /** Whether its end was asked for by us, or by who released it. */
  readonly endedByUs: boolean
}

/** EC2 took it itself, within the hour in which that costs nothing. */
export const wasFree = ({ notice, spot, askedAt, absentSince, endedByUs }: Ended): boolean =>
  notice?.source === 'aws' &&
  notice.kind === 'reclaim' &&
  spot &&
  !endedByUs &&
  askedAt !== null &&
  absentSince !== null &&
  absentSince - askedAt < awsFreeMs

export const reclaimed = (notice: Notice): FailureRecord =>
  failureRecord('reclaimed', `${capital(whoSays(notice))} that the machine is taken (${notice.action}).`)

/** A notice in a sentence, for people. */
export function noticeText(notice: Notice, now: number): string {
  const left = notice.takenAt === null ? null : Math.max(0, Math.round((notice.takenAt - now) / 1000))
  const when = left === null ? '' : ` in ${left} s`
  if (!endsMachine(notice)) return `${capital(whoSays(notice))} that the machine is at risk. It serves on.`
  return `${capital(whoSays(notice))} that the machine is taken${when} (${notice.action}). Requests leave it.`
}

const whoSays = ({ source }: Notice): string =>
  source === 'signal' ? 'the system of the machine says' : `the notice service of ${source} says`

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
