// Other people's machines, and this one, behind one interface.
// Deliberately absent: rows, decisions, and any caller but the loops.
import type { CloudTraits } from '../core/decide-node.ts'
import type { FailureRecord } from '../core/failure.ts'
import type { Offer } from '../core/offer.ts'

export interface MachineAsk {
  /** Our unique name; asking twice under one name must be harmless. */
  readonly name: string
  readonly offer: Offer
  /** The one secret that a machine is born with. */
  readonly joinToken: string
  /** When this was asked already, of a cloud that is asked only once, and nobody knows what became of it. */
  readonly askedAt?: number
}

/** A refusal is the cloud's answer; a lost or unclear answer is thrown, and resolved by looking the name up. */
export type AskAnswer = { readonly accepted: true } | { readonly accepted: false; readonly refusal: FailureRecord }

export interface ListedMachine {
  readonly name: string
  readonly detail: Record<string, unknown>
  /** What an hour of it costs, where the cloud says so. */
  readonly pricePerHourMicroUsd?: number
  /** Only of clouds that work on an ask for minutes after they accepted it; what is listed without it is a machine. */
  readonly ask?: AskSeen
  /** Of a machine that was there and is not any more: who ended it, as its cloud says. */
  readonly ended?: string
}

export interface AskSeen {
  /** True while the cloud may still make a machine of it. */
  readonly open: boolean
  /** False while nothing runs that the cloud could charge for. */
  readonly machine: boolean
  /** The ask's place in the queue of the cloud's own server, from 1, where it waits in one. */
  readonly queuePlace?: number
  /** Why the cloud gave up after all. A machine may be there all the same. */
  readonly refusal: FailureRecord | null
}

/** A machine that the cloud may charge for, or may still make: all but an ask that is over and left nothing. */
export const maybeThere = ({ ask }: ListedMachine): boolean => ask === undefined || ask.machine || ask.open

/** What a cloud works on for a machine, as it happens. It is shown to people; nothing is decided by it. */
export interface MachineStep {
  readonly name: string
  /** Its place among the machine's steps, the same however often it is told; null where it has none. */
  readonly n: number | null
  readonly text: string
}
export type HearStep = (step: MachineStep) => void

/** What rows know that a look may need. */
export interface LookHints {
  /** Of these nobody has heard lately: where the list comes from a memory, it should be renewed for them. */
  readonly doubted: readonly string[]
  /** Machines that were seen and are not known to have ended, with the detail that was told of them last. */
  readonly expected: readonly Pick<ListedMachine, 'name' | 'detail'>[]
}

export interface Cloud {
  readonly name: string
  readonly traits: CloudTraits
  /** The traits for an attempt at one of its offers, where a kind of machine takes its own time. */
  traitsFor?(offer: Offer): CloudTraits
  offers(): Promise<Offer[]>
  /** A second ask would be a second launch: one whose outcome is not known is looked up, and never made again. */
  readonly asksOnce?: true
  /**
   * Where a look costs much: that an ask would be of use now, for one that was never made and so needs no look.
   * @throws when the cloud does not answer, and CloudRefuses.
   */
  answers?(): Promise<void>
  ensureMachine(ask: MachineAsk): Promise<AskAnswer>
  /** Asks for the end; a machine that is not there is a success. It may take several calls and some time. */
  ensureGone(name: string): Promise<void>
  /** One bulk look at every machine with this install's tag. @throws when the cloud does not answer. */
  listMachines(hints?: LookHints): Promise<ListedMachine[]>
  /** From now on tells what it works on, where it says so before the machine speaks. */
  onStep?(hear: HearStep): void
}

/** The cloud answers, and would refuse whatever we ask: a token that is wrong, a version that is too old. */
export class CloudRefuses extends Error {
  readonly refusal: FailureRecord

  constructor(refusal: FailureRecord, cause: unknown) {
    super(refusal.cause, { cause })
    this.name = 'CloudRefuses'
    this.refusal = refusal
  }
}

export type Clouds = ReadonlyMap<string, Cloud>
