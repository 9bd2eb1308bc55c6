import type { Cloud } from '../src/clouds/cloud.ts'
import type { ControlDeps } from '../src/control/context.ts'
import { Continuity } from '../src/control/continuity.ts'
import type { Loop } from '../src/control/driver.ts'
import { launchLoop } from '../src/control/launch.ts'
import { nodeLoop } from '../src/control/node.ts'
import { sightLoop } from '../src/control/sight.ts'
import { isOver, type LaunchState } from '../src/core/launch-table.ts'
import type { LaunchTime } from '../src/core/launch-time.ts'
import type { NodeState } from '../src/core/node-table.ts'
import { anyWish, type Offer, rankOffers, type Wish } from '../src/core/offer.ts'
import type { Settings } from '../src/core/settings.ts'
import { makeLog } from '../src/lib/log.ts'
import { SimCloud, type SimFaults, simOffer } from '../src/sim/cloud.ts'
import { type Claim, claimDue, enrol, finishClaim, nudge } from '../src/store/claims.ts'
import type { Db } from '../src/store/database.ts'
import { addDeployment, lockDeployment } from '../src/store/deployment-requests.ts'
import { lockLaunch, withdrawLaunch } from '../src/store/launch-requests.ts'
import { openLaunch } from '../src/store/launches.ts'
import { saveOffers } from '../src/store/offers.ts'
import { type TestWorld, testSettings } from '../src/store/world-for-tests.ts'
import { Crash, Crashes, type CrashPlan, withCrashes, withCrashesInCloud } from './crashes.ts'
import { type Machines, SimAgents } from './sim-agents.ts'

/** A cloud whose machines can be counted from outside. */
export interface WorldCloud extends Cloud, Machines {
  /** How often a machine was asked for or made under each name. */
  readonly made: ReadonlyMap<string, number>
  /** As a new process sees it, which may die at any call; left out: every call is the cloud's own. */
  seenBy?(crashes: Crashes | null): Cloud
  /** What the cloud works on by itself goes one step on. */
  workOn?(): void
}

export interface WorldOptions {
  readonly crash?: CrashPlan
  readonly offers?: readonly Offer[]
  readonly wish?: Wish
  readonly faults?: Partial<SimFaults>
  readonly settings?: Partial<Settings>
  readonly time?: LaunchTime
}

// Long enough for the longest wait of a scenario, short enough that a loop which never ends is told.
const mostTurns = 400
const retryRowMs = 2_000
const launchMs = 120_000

const offers = [simOffer('sim', 'small', 1_000_000), simOffer('sim', 'large', 2_000_000)]
// As short as they may be against each other: a sweep lives hundreds of lives.
export const worldTraits = { confirmGoneMs: 200, listingLagMs: 300, askLimitMs: 1_000, lookFastMs: 250 }
const silent = makeLog('test', 'silent')

export const worldSettings: Settings = {
  ...testSettings,
  claimHoldMs: 4_000,
  // Worlds share a database: what a cloud said in one of them is no word about the next one.
  capacity: { ...testSettings.capacity, halfLifeMs: 1 },
  retry: { triesPerOffer: 1, rounds: 2, firstBackOffMs: 100, maxBackOffMs: 400, waitForGoneMs: 60_000 },
}

/** One launch in a world of its own: real rows, a cloud and agents that are not there, and time that only passes here. */
export class World<C extends WorldCloud = SimCloud> {
  readonly cloud: C
  readonly crashes: Crashes
  readonly agents: SimAgents
  readonly settings: Settings
  readonly #base: TestWorld
  readonly #launchId: string
  #servers = 1
  turns = 0
  /** The most engines that ever ran for this one slot. */
  mostMachines = 0

  private constructor(base: TestWorld, cloud: C, options: WorldOptions, launchId: string) {
    this.#base = base
    this.#launchId = launchId
    this.settings = { ...worldSettings, ...options.settings }
    this.cloud = cloud
    this.crashes = new Crashes(options.crash)
    this.agents = new SimAgents(base.deps, cloud)
  }

  static begin(base: TestWorld, options: WorldOptions = {}): Promise<World> {
    const { clock } = base.deps
    return World.of(base, new SimCloud({ clock, offers, traits: worldTraits, faults: options.faults ?? {} }), options)
  }

  static async of<C extends WorldCloud>(base: TestWorld, cloud: C, options: WorldOptions = {}): Promise<World<C>> {
    const wanted = options.offers ?? offers
    const wish = options.wish ?? anyWish
    const time = options.time ?? { limitMs: launchMs, waitsCount: true }
    const { db } = base.deps.store
    const now = base.deps.clock.now()
    const { tenantId, name } = base.actor
    // What an earlier world left to its claims' running out is no business of this one.
    await db.deleteFrom('claims').execute()
    await db.deleteFrom('offers').execute()
    await saveOffers(db, cloud.name, wanted, now)
    const launchId = await db.transaction().execute(async (tx) => {
      const model = { name: 'd', model: 'sim-small', engine: 'sim', source: null, engineArgs: {}, wish, wanted: 1 }
      await addDeployment(tx, { ...model, tenantId, createdBy: name }, now)
      const deployment = await lockDeployment(tx, tenantId, { name: 'd' })
      if (!deployment) throw new Error('the deployment was made a moment ago')
      const by = { tenantId, deploymentId: deployment.id, origin: 'hand' as const, requestedBy: name }
      const ranked = rankOffers(wanted, wish)
      return openLaunch(tx, { ...by, wish, offers: ranked, time }, now)
    })
    await enrol(db, 'sight', cloud.name, now, cloud.name)
    return new World(base, cloud, options, launchId)
  }

  get #db(): Db {
    return this.#base.deps.store.db
  }

  /** A control plane's process: its loops see the database and the cloud through the points at which it may die. */
  process(crashes: Crashes | null = this.crashes): Process {
    const { clock, vault } = this.#base.deps
    const db = crashes ? withCrashes(this.#db, crashes) : this.#db
    const cloud = this.cloud.seenBy?.(crashes) ?? (crashes ? withCrashesInCloud(this.cloud, crashes) : this.cloud)
    const deps: ControlDeps = {
      db,
      clouds: new Map([[cloud.name, cloud]]),
      clock,
      log: silent,
      settings: this.settings,
      vault,
      install: this.#base.install,
      continuity: new Continuity(clock.now()),
      fleetSize: this.#base.deps.store.fleetSize,
    }
    this.#servers += 1
    return new Process(deps, `server-${this.#servers}`)
  }

  async passes(count: number): Promise<void> {
    let process = this.process()
    for (let i = 0; i < count; i++) process = await this.turn(process)
  }

  /** Everybody acts once: the agents, then the loops. Then time passes until something is due again. */
  async turn(process: Process): Promise<Process> {
    const [after] = await this.turnOfAll([process])
    return after ?? process
  }

  /** Several control planes at once; each that dies comes back as another process. */
  async turnOfAll(processes: readonly Process[]): Promise<Process[]> {
    this.turns += 1
    await this.agents.speak()
    this.#countMachines()
    const survived = await Promise.all(processes.map((process) => process.turn()))
    this.#countMachines()
    this.cloud.workOn?.()
    await this.letTimePass()
    return processes.map((process, i) => (survived[i] ? process : this.process()))
  }

  #countMachines(): void {
    this.mostMachines = Math.max(this.mostMachines, this.cloud.machines.size)
  }

  async withdraw(): Promise<void> {
    const { actor, deps } = this.#base
    const now = deps.clock.now()
    await this.#db.transaction().execute(async (tx) => {
      const launch = await lockLaunch(tx, actor.tenantId, this.#launchId)
      if (launch && !launch.over) await withdrawLaunch(tx, launch, { outcome: 'cancelled', by: actor.name }, now)
    })
    await nudge(this.#db, 'launch', [this.#launchId], now)
  }

  async state(): Promise<LaunchState> {
    const { state } = await this.#db
      .selectFrom('launches')
      .select('state')
      .where('id', '=', this.#launchId)
      .executeTakeFirstOrThrow()
    return state
  }

  /** Goes on, with a new process after each crash, until the launch is where it is wanted. */
  async until(
    reached: (state: LaunchState) => boolean | Promise<boolean>,
    process = this.process(),
  ): Promise<LaunchState> {
    for (const end = this.turns + mostTurns; this.turns < end; ) {
      const state = await this.state()
      if (await reached(state)) return state
      process = await this.turn(process)
    }
    return this.state()
  }

  untilOver(): Promise<LaunchState> {
    return this.until(isOver)
  }

  /** Until nothing is left to be done: also what shows up after the launch is over has been ended. */
  async untilQuiet(): Promise<void> {
    await this.until(async (state) => {
      const nodes = await this.nodes()
      return isOver(state) && this.cloud.machines.size === 0 && nodes.every((node) => node.state === 'gone')
    })
  }

  /** The rows that only loops write, as text: two of them are equal when nothing was written between. */
  async written(): Promise<string> {
    const of = this.#launchId
    const launch = await this.#db.selectFrom('launches').selectAll().where('id', '=', of).execute()
    const nodes = await this.nodes()
    const attempts = await this.#db.selectFrom('attempts').selectAll().where('launch_id', '=', of).execute()
    const ledger = await this.#db.selectFrom('ledger').selectAll().where('launch_id', '=', of).orderBy('id').execute()
    const events = await this.#db.selectFrom('events').select('text').where('launch_id', '=', of).execute()
    return JSON.stringify([launch, nodes, attempts, ledger, events])
  }

  /** What is wrong with how it all ended, in words: what may run, be billed or be open still. */
  async faults(): Promise<string[]> {
    const state = await this.state()
    const nodes = await this.nodes()
    const twice = [...this.cloud.made].filter(([, times]) => times > 1)
    return [
      ...(isOver(state) ? [] : [`the launch is still ${state}`]),
      ...nodes.filter((node) => node.state !== 'gone').map((node) => `${node.id} is still ${node.state}`),
      ...[...this.cloud.machines.keys()].map((name) => `${name} is left running`),
      ...twice.map(([name, times]) => `${name} was made ${times} times`),
      ...(this.mostMachines > 1 ? [`${this.mostMachines} engines ran for one slot`] : []),
      ...(await this.ledgerFaults()),
    ]
  }

  async nodes(): Promise<NodeAsKept[]> {
    const rows = await this.#db
      .selectFrom('nodes')
      .select(['id', 'name', 'state', 'first_seen_at', 'gone_at', 'failure'])
      .where('launch_id', '=', this.#launchId)
      .orderBy('created_at')
      .execute()
    return rows.map((row) => ({
      id: row.id,
      name: row.name,
      state: row.state,
      firstSeenAt: row.first_seen_at,
      goneAt: row.gone_at,
      failure: row.failure?.code ?? null,
    }))
  }

  /** What is wrong with the accounts of this launch's nodes, in words; empty when every second is counted once. */
  async ledgerFaults(): Promise<string[]> {
    const nodes = await this.nodes()
    const lines = await this.#db
      .selectFrom('ledger')
      .select(['node_id', 'opened_at', 'closed_at'])
      .where('launch_id', '=', this.#launchId)
      .orderBy('id')
      .execute()
    return nodes.flatMap((node) => {
      const mine = lines.filter((line) => line.node_id === node.id)
      return faultsOf(node, mine)
    })
  }

  /** Until the next row is due, a claim runs out or a machine has booted; never for ever, never not at all. */
  async letTimePass(): Promise<void> {
    const { clock } = this.#base.deps
    const rows = await this.#db
      .selectFrom('claims')
      .select(['due_at', 'until'])
      .where('loop', 'in', ['launch', 'node', 'sight'])
      .execute()
    const due = [...rows.map((row) => row.until ?? row.due_at), ...this.agents.nextAt()].filter(
      (at) => Number.isFinite(at) && at > clock.now(),
    )
    const waiting = rows.some((row) => row.until === null && row.due_at <= clock.now())
    clock.pass(waiting ? 10 : Math.min(5_000, Math.max(10, Math.min(...due) - clock.now())))
  }
}

export interface NodeAsKept {
  readonly id: string
  readonly name: string
  readonly state: NodeState
  readonly firstSeenAt: number | null
  readonly goneAt: number | null
  readonly failure: string | null
}

function faultsOf(node: NodeAsKept, lines: readonly { opened_at: number; closed_at: number | null }[]): string[] {
  const first = lines[0]
  const last = lines.at(-1)
  if (!first || !last) return node.firstSeenAt === null ? [] : [`${node.id} was seen and not billed`]
  const faults = lines.slice(1).flatMap((line, i) => {
    const gapMs = line.opened_at - (lines[i]?.closed_at ?? Number.NaN)
    return gapMs === 0 ? [] : [`${node.id} has a gap of ${gapMs} ms`]
  })
  if (first.opened_at !== node.firstSeenAt) faults.push(`${node.id} is not billed from its first sight`)
  if (last.closed_at !== node.goneAt) faults.push(`${node.id} is not billed until it was gone`)
  return faults
}

/** One process of the control plane. The driver's timers are left out: who is due is asked, in order, once a turn. */
export class Process {
  readonly deps: ControlDeps
  readonly holder: string
  readonly #loops: readonly Loop[]
  /** Rows that its loops have looked at. */
  passes = 0

  constructor(deps: ControlDeps, holder: string, loops = [launchLoop(deps), nodeLoop(deps), sightLoop(deps)]) {
    this.deps = deps
    this.holder = holder
    this.#loops = loops
  }

  /** False when it died: what it had claimed stays claimed. */
  async turn(): Promise<boolean> {
    try {
      for (const loop of this.#loops) for (const claim of await this.claim(loop)) await this.pass(loop, claim)
      return true
    } catch (error) {
      if (error instanceof Crash) return false
      throw error
    }
  }

  claim(loop: Loop): Promise<Claim[]> {
    return claimDue(this.deps.db, loop.name, 4, this.deps.clock.now(), loop.holdMs, {
      holder: this.holder,
      realms: [...this.deps.clouds.keys()],
      acts: loop.acts,
    })
  }

  async pass(loop: Loop, claim: Claim): Promise<void> {
    let next: number | null
    this.passes += 1
    try {
      next = (await loop.pass(claim)).nextDueAt
    } catch (error) {
      if (error instanceof Crash) throw error
      next = this.deps.clock.now() + retryRowMs
    }
    await finishClaim(this.deps.db, claim, next)
  }
}
