// A world that is not there: the simulated cloud and engine, and whatever stands in for machines we do not have.
// Deliberately absent: anything that production code needs. Only tests, benchmarks and entry points import this folder.
import type { AskAnswer, Cloud, ListedMachine, MachineAsk } from '../clouds/cloud.ts'
import type { CloudTraits } from '../core/decide-node.ts'
import { type FailureCode, failureRecord } from '../core/failure.ts'
import type { Offer } from '../core/offer.ts'
import type { Clock } from '../lib/clock.ts'

export interface SimMachine {
  readonly name: string
  readonly joinToken: string
  readonly madeAt: number
  /** From here on its agent may speak; null: it never boots. */
  readonly bootsAt: number | null
  readonly listedFrom: number
  endsAsked: number
}

/** What goes wrong, each switched by hand at any time. Counts are used up; times are ms. */
export interface SimFaults {
  /** Asks that are refused with this. */
  refuse: { code: FailureCode; times: number } | null
  /** Asks that are carried out and whose answer is lost. */
  loseAnswers: number
  /** Asks that fail before anything is made. */
  failAsks: number
  /** Looks that the cloud does not answer. */
  failLooks: number
  /** A new machine is listed only after this. */
  listingLagMs: number
  /** A new machine is listed, and nothing is ever heard from it. */
  neverBoots: boolean
  bootMs: number
  /** How often the end must be asked for until the machine is gone. */
  endAsks: number
}

export interface SimCloudOptions {
  readonly clock: Clock
  readonly name?: string
  readonly traits?: Partial<CloudTraits>
  readonly faults?: Partial<SimFaults>
  readonly offers?: readonly Offer[]
}

const noFaults: SimFaults = {
  refuse: null,
  loseAnswers: 0,
  failAsks: 0,
  failLooks: 0,
  listingLagMs: 0,
  neverBoots: false,
  bootMs: 200,
  endAsks: 1,
}

// Short and all different, so that a test which mixes them up fails.
const quickTraits: CloudTraits = {
  confirmGoneMs: 300,
  listingLagMs: 2_000,
  askLimitMs: 5_000,
  requestLimitMs: 10_000,
  bootLimitMs: 20_000,
  loadLimitMs: 30_000,
  drainLimitMs: 8_000,
  lookMs: 10_000,
  lookFastMs: 250,
}

/** A cloud that is not there: machines are entries of a map, time is the clock's, and every fault is a switch. */
export class SimCloud implements Cloud {
  readonly name: string
  readonly traits: CloudTraits
  readonly faults: SimFaults
  /** Machines that run, whether or not the cloud lists them yet. */
  readonly machines = new Map<string, SimMachine>()
  /** How often a machine was really made under each name: more than once would be paid for twice. */
  readonly made = new Map<string, number>()
  readonly calls = { ensureMachine: 0, ensureGone: 0, listMachines: 0 }
  readonly #clock: Clock
  readonly #offers: readonly Offer[]

  constructor({ clock, name = 'sim', traits = {}, faults = {}, offers }: SimCloudOptions) {
    this.name = name
    this.#clock = clock
    this.traits = { ...quickTraits, ...traits }
    this.faults = { ...noFaults, ...faults }
    this.#offers = offers ?? [simOffer(name, 'small', 1_000_000)]
  }

  async offers(): Promise<Offer[]> {
    return [...this.#offers]
  }

  async ensureMachine(ask: MachineAsk): Promise<AskAnswer> {
    this.calls.ensureMachine += 1
    const { faults } = this
    if (faults.failAsks > 0) {
      faults.failAsks -= 1
      throw new Error('the connection to the cloud was refused')
    }
    if (this.machines.has(ask.name)) return { accepted: true }
    if (faults.refuse && faults.refuse.times > 0) {
      faults.refuse.times -= 1
      return { accepted: false, refusal: failureRecord(faults.refuse.code, 'The simulated cloud has no room.') }
    }
    this.#make(ask)
    if (faults.loseAnswers > 0) {
      faults.loseAnswers -= 1
      throw new Error('the connection broke before the cloud had answered')
    }
    return { accepted: true }
  }

  async ensureGone(name: string): Promise<void> {
    this.calls.ensureGone += 1
    const machine = this.machines.get(name)
    // What the cloud does not show yet it does not know yet: the worst case of a late listing.
    if (!machine || machine.listedFrom > this.#clock.now()) return
    machine.endsAsked += 1
    if (machine.endsAsked >= this.faults.endAsks) this.machines.delete(name)
  }

  async listMachines(): Promise<ListedMachine[]> {
    this.calls.listMachines += 1
    if (this.faults.failLooks > 0) {
      this.faults.failLooks -= 1
      throw new Error('the cloud does not answer')
    }
    const now = this.#clock.now()
    const listed = [...this.machines.values()].filter(({ listedFrom }) => listedFrom <= now)
    return listed.map(({ name, madeAt }) => ({ name, detail: { madeAt } }))
  }

  /** The machine is reclaimed, crashes, or somebody ends it by hand: nobody is told. */
  vanish(name: string): void {
    this.machines.delete(name)
  }

  /** A machine that everybody took for gone is there after all. */
  showUp(name: string): void {
    const now = this.#clock.now()
    this.machines.set(name, { name, joinToken: '', madeAt: now, bootsAt: null, listedFrom: now, endsAsked: 0 })
  }

  /** Machines whose agent could speak by now. */
  booted(): SimMachine[] {
    const now = this.#clock.now()
    return [...this.machines.values()].filter(({ bootsAt }) => bootsAt !== null && bootsAt <= now)
  }

  #make({ name, joinToken }: MachineAsk): void {
    const now = this.#clock.now()
    const { neverBoots, bootMs, listingLagMs } = this.faults
    const bootsAt = neverBoots ? null : now + bootMs
    this.machines.set(name, { name, joinToken, madeAt: now, bootsAt, listedFrom: now + listingLagMs, endsAsked: 0 })
    this.made.set(name, (this.made.get(name) ?? 0) + 1)
  }
}

export function simOffer(cloud: string, kind: string, pricePerHourMicroUsd: number): Offer {
  const id = `${cloud}/nowhere/${kind}`
  const place = { cloud, region: 'nowhere', spot: false }
  return { ...place, id, gpu: null, gpuCount: 0, vramGib: 0, pricePerHourMicroUsd, available: null }
}
