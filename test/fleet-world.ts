import { createDeployment, pauseDeployment, scaleDeployment } from '../src/commands/deployments.ts'
import { cancelLaunch, createLaunch } from '../src/commands/launches.ts'
import { drainNode, releaseNode } from '../src/commands/nodes.ts'
import { pauseAutomation } from '../src/commands/pause.ts'
import { Continuity } from '../src/control/continuity.ts'
import { deploymentLoop } from '../src/control/deployment.ts'
import { endGap } from '../src/control/end-gap.ts'
import { healthLoop } from '../src/control/health.ts'
import { launchLoop } from '../src/control/launch.ts'
import { nodeLoop } from '../src/control/node.ts'
import { sightLoop } from '../src/control/sight.ts'
import { Failure } from '../src/core/failure.ts'
import { isOver } from '../src/core/launch-table.ts'
import { anyWish } from '../src/core/offer.ts'
import type { Settings } from '../src/core/settings.ts'
import { isAccused } from '../src/core/verdict-table.ts'
import { makeGatewayIntake } from '../src/intake/gateway.ts'
import { makeLog } from '../src/lib/log.ts'
import { SimCloud, simOffer } from '../src/sim/cloud.ts'
import { enrol, freeClaimsOf } from '../src/store/claims.ts'
import type { Db } from '../src/store/database.ts'
import { saveHeard } from '../src/store/heard.ts'
import { saveOffers } from '../src/store/offers.ts'
import type { TestWorld } from '../src/store/world-for-tests.ts'
import type { GatewayReport } from '../src/wire/gateway.ts'
import { Process, worldSettings, worldTraits } from './control-world.ts'
import { Crashes, type CrashPlan, withCrashes, withCrashesInCloud } from './crashes.ts'
import { fleetFaults, nodesOf } from './fleet-faults.ts'
import { SimAgents } from './sim-agents.ts'

const offers = [simOffer('sim', 'small', 1_000_000), simOffer('sim', 'large', 2_000_000)]
const wish = { ...anyWish, clouds: ['sim'], regions: [], gpus: [] }
const log = makeLog('test', 'silent')
// A fleet is asked for more often in a second of this world than by anybody in an hour.
const settings: Settings = { ...worldSettings, graceMs: 1_000, launchesPerMinute: 100_000, attemptsInFlight: 16 }
const reclaim = { source: 'gcp', kind: 'reclaim', action: 'preempted', leftMs: 30_000 } as const
const gatewayStart = '2026-03-01T12:00:00.000Z'
// Long enough for a drain, a replacement and a trial of a node that flapped; far below what ends a suspect by itself.
const calmMs = 10 * 60_000

/** One of two control planes: what is left of it when its process dies is its name. */
interface Plane {
  holder: string
  continuity: Continuity
}
export type PlaneName = 'A' | 'B'

/** A fleet of one deployment in a world of its own, with two control planes; time only passes here. */
export class FleetWorld {
  readonly cloud: SimCloud
  readonly agents: SimAgents
  /** Machines whose engine answers no probe. */
  readonly sick = new Set<string>()
  readonly #base: TestWorld
  readonly #name: string
  readonly #planes: Readonly<Record<PlaneName, Plane>>
  readonly #gateway: ReturnType<typeof makeGatewayIntake>
  #lives = 2
  /** Rows that loops of it have looked at. */
  passes = 0

  private constructor(base: TestWorld, name: string) {
    const { clock } = base.deps
    this.#base = base
    this.#name = name
    // Clouds and machines have clocks of their own, which nobody sets.
    const steady = { now: () => clock.monotonicMs(), monotonicMs: () => clock.monotonicMs() }
    this.cloud = new SimCloud({ clock: steady, offers, traits: worldTraits })
    this.agents = new SimAgents(base.deps, this.cloud)
    this.#gateway = makeGatewayIntake(base.deps)
    const plane = (holder: string): Plane => ({ holder, continuity: new Continuity(clock.now()) })
    this.#planes = { A: plane('plane-1'), B: plane('plane-2') }
  }

  static async begin(base: TestWorld, name: string): Promise<FleetWorld> {
    const { store, clock } = base.deps
    const { db } = store
    await forget(db)
    base.deps.settings = settings
    await saveOffers(db, 'sim', offers, clock.now())
    await enrol(db, 'sight', 'sim', clock.now(), 'sim')
    await enrol(db, 'health', 'health', clock.now())
    return new FleetWorld(base, name)
  }

  get #db(): Db {
    return this.#base.deps.store.db
  }

  get #commands() {
    return { ...this.#base.deps, settings }
  }

  launch(): Promise<void> {
    const request = { model: 'sim-small', deployment: this.#name, engineArgs: {}, wish, dryRun: false }
    return obeyed(createLaunch(this.#commands, this.#base.actor, request, null))
  }

  deploy(wanted: number): Promise<void> {
    const request = { name: this.#name, model: 'sim-small', engineArgs: {}, wish, wanted }
    return obeyed(createDeployment(this.#commands, this.#base.actor, request))
  }

  async scale(wanted: number): Promise<void> {
    const id = await this.#deploymentId()
    if (id) await obeyed(scaleDeployment(this.#commands, this.#base.actor, id, { wanted }))
  }

  async pauseDeployment(paused: boolean): Promise<void> {
    const id = await this.#deploymentId()
    if (id) await obeyed(pauseDeployment(this.#commands, this.#base.actor, id, paused))
  }

  pauseAll(paused: boolean): Promise<void> {
    return obeyed(pauseAutomation(this.#commands, this.#base.actor, { paused, reason: 'a test' }))
  }

  /** The nth of those that are not over, counted round; nothing where there is none. */
  async cancel(nth: number): Promise<void> {
    const id = await this.#deploymentId()
    const launches = await this.#db
      .selectFrom('launches')
      .select(['id', 'state'])
      .where('deployment_id', '=', id)
      .orderBy('id')
      .execute()
    const launch = nthOf(
      launches.filter(({ state }) => !isOver(state)),
      nth,
    )
    if (launch) await obeyed(cancelLaunch(this.#commands, this.#base.actor, launch.id))
  }

  async release(nth: number): Promise<void> {
    const node = nthOf(await this.nodes(), nth)
    if (node) await obeyed(releaseNode(this.#commands, this.#base.actor, node.id))
  }

  async drain(nth: number): Promise<void> {
    const node = nthOf(await this.nodes(), nth)
    if (node) await obeyed(drainNode(this.#commands, this.#base.actor, node.id))
  }

  vanish(nth: number): void {
    const name = nthOf([...this.cloud.machines.keys()], nth)
    if (name) this.cloud.vanish(name)
  }

  /** Its engine answers nothing from now on, or answers again. */
  turn(nth: number, sick: boolean): void {
    const name = nthOf(sick ? [...this.cloud.machines.keys()] : [...this.sick], nth)
    if (name && sick) this.sick.add(name)
    else if (name) this.sick.delete(name)
  }

  /** Nobody reaches the machine from now on, and it reaches nobody; its cloud lists it. Or that is over. */
  cut(nth: number, isCut: boolean): void {
    const { cutOff } = this.agents
    const name = nthOf(isCut ? [...this.cloud.machines.keys()] : [...cutOff], nth)
    if (name && isCut) cutOff.add(name)
    else if (name) cutOff.delete(name)
  }

  notice(nth: number, stands: boolean): void {
    const { notices } = this.agents
    const name = nthOf(stands ? [...this.cloud.machines.keys()] : [...notices.keys()], nth)
    if (name && stands) notices.set(name, reclaim)
    else if (name) notices.delete(name)
  }

  /** All that machines and gateways have to say now. */
  async speak(): Promise<void> {
    await this.agents.speak()
    const now = this.#base.deps.clock.now()
    const alive = (await this.#serving()).filter(({ name }) => this.#isReached(name))
    await this.#db.transaction().execute(async (tx) => {
      for (const { id } of alive) await saveHeard(tx, id, now)
    })
    await this.#report(await this.#probes())
  }

  async #serving() {
    return (await this.nodes()).filter(({ readyAt }) => readyAt !== null)
  }

  #isReached(name: string): boolean {
    return this.cloud.machines.has(name) && !this.agents.cutOff.has(name)
  }

  async #probes(): Promise<GatewayReport['probes']> {
    return (await this.#serving()).map(({ id: nodeId, name }) => {
      const reached = this.#isReached(name)
      return { nodeId, good: reached && !this.sick.has(name), reached, detail: 'a test', tookMs: 1, agoMs: 0 }
    })
  }

  async #report(probes: GatewayReport['probes']): Promise<void> {
    const gateway = { gatewayId: 'gateway-1', url: 'http://127.0.0.1:1', fingerprint: null, startedAt: gatewayStart }
    const nothing = { tableVersion: null, batch: null, usage: [], nodes: [], secondHolders: [] }
    await this.#gateway.take({ ...gateway, ...nothing, probes })
  }

  /** What machines and gateways say now is on its way during that, and then comes twice, the last word first. */
  async sayLate(meanwhile: () => Promise<void>): Promise<void> {
    const nodes = await this.nodes()
    const draining = new Set(nodes.filter(({ state }) => state === 'draining').map(({ name }) => name))
    const probes = await this.#probes()
    const words = [() => this.#report(probes), ...this.agents.words(draining).reverse()]
    await meanwhile()
    await Promise.all([...words, ...words].map((word) => word()))
  }

  /**
   * The loops of one control plane pass once. One that dies is started anew, under its old name or as another. True where
   * the effect of the plan was made, or was to be.
   */
  async pass(name: PlaneName, plan?: CrashPlan, sameName = true): Promise<boolean> {
    const plane = this.#planes[name]
    const { clock } = this.#base.deps
    await endGap({ db: this.#db, clock, continuity: plane.continuity })
    const crashes = new Crashes(plan)
    const process = this.#process(plane, crashes)
    const lives = await process.turn()
    this.passes += process.passes
    const reached = crashes.reached(plan?.at ?? 0)
    if (lives) return reached
    const now = this.#base.deps.clock.now()
    plane.continuity = new Continuity(now)
    this.#lives += 1
    if (sameName) await freeClaimsOf(this.#db, plane.holder, now)
    else plane.holder = `plane-${this.#lives}`
    return reached
  }

  /** One control plane stands still after an effect, something happens, and then it goes on as if nothing had. */
  async standStill(name: PlaneName, at: number, meanwhile: () => Promise<void>): Promise<boolean> {
    const stands = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const pause = () => {
      stands.resolve()
      return goOn.promise
    }
    const turn = this.pass(name, { at, when: 'after', pause })
    await Promise.race([turn, stands.promise])
    try {
      await meanwhile()
    } finally {
      goOn.resolve()
    }
    return turn
  }

  #process({ holder, continuity }: Plane, crashes: Crashes): Process {
    const { clock, vault } = this.#base.deps
    const cloud = withCrashesInCloud(this.cloud, crashes)
    const deps = {
      db: withCrashes(this.#db, crashes),
      clouds: new Map([[cloud.name, cloud]]),
      clock,
      log,
      settings,
      vault,
      install: this.#base.install,
      continuity,
      fleetSize: this.#base.deps.store.fleetSize,
    }
    const loops = [launchLoop, nodeLoop, sightLoop, healthLoop, deploymentLoop]
    const seen = { ...deps, clock: continuity.knownTo(clock) }
    return new Process(
      deps,
      holder,
      loops.map((make) => make(seen)),
    )
  }

  async turnOf(planes: readonly PlaneName[]): Promise<void> {
    await this.speak()
    await Promise.all(planes.map((plane) => this.pass(plane)))
    await this.letTimePass()
  }

  /** Until something is due again; never long, and never not at all. */
  async letTimePass(): Promise<void> {
    const { clock } = this.#base.deps
    const rows = await this.#db.selectFrom('claims').select(['due_at', 'until']).execute()
    const waits = [
      ...rows.map((row) => (row.until ?? row.due_at) - clock.now()),
      ...this.agents.nextAt().map((at) => at - clock.monotonicMs()),
    ].filter(Number.isFinite)
    clock.pass(waits.some((ms) => ms <= 0) ? 10 : Math.min(5_000, Math.max(10, Math.min(...waits))))
  }

  timePasses(ms: number): void {
    this.#base.deps.clock.pass(ms)
  }

  /** Somebody sets the clock of both control planes. */
  clockJumps(ms: number): void {
    this.#base.deps.clock.jump(ms)
  }

  /** Nothing goes wrong any more, and whatever was stopped goes on. */
  async calm(): Promise<void> {
    this.sick.clear()
    this.agents.cutOff.clear()
    this.agents.notices.clear()
    Object.assign(this.cloud.faults, { loseAnswers: 0, failAsks: 0, failLooks: 0 })
    await this.goOn()
  }

  async goOn(): Promise<void> {
    await this.pauseAll(false)
    await this.pauseDeployment(false)
  }

  /** As many nodes serve as are wanted, and there is nothing else; or what is wrong with that after a long while. */
  async settled(): Promise<string[]> {
    const end = this.#base.deps.clock.now() + calmMs
    for (let wrong = await this.#unsettled(); wrong.length > 0; wrong = await this.#unsettled()) {
      if (this.#base.deps.clock.now() > end) return wrong
      await this.turnOf(['A', 'B'])
    }
    return []
  }

  async #unsettled(): Promise<string[]> {
    const nodes = await this.nodes()
    const serving = nodes.filter(
      ({ state, verdict, holdsSlot }) => state === 'ready' && !isAccused(verdict) && holdsSlot,
    )
    const wanted = await this.wanted()
    const others = nodes.filter((node) => !serving.includes(node))
    return [
      ...(serving.length === wanted ? [] : [`${serving.length} nodes serve, ${wanted} are wanted`]),
      ...(this.cloud.machines.size === wanted
        ? []
        : [`${this.cloud.machines.size} machines run, ${wanted} are wanted`]),
      ...others.map(({ name, state, verdict }) => `${name} is still ${state} (${verdict})`),
    ]
  }

  async wanted(): Promise<number> {
    const row = await this.#db
      .selectFrom('deployments')
      .select('wanted')
      .where('name', '=', this.#name)
      .executeTakeFirst()
    return row?.wanted ?? 0
  }

  /** Its nodes that are not gone, oldest first. */
  async nodes() {
    const nodes = await nodesOf(this.#db, await this.#deploymentId())
    return nodes.filter(({ state }) => state !== 'gone')
  }

  /** What must never be so, at no moment, in words. */
  async faults(): Promise<string[]> {
    return fleetFaults(this.#db, await this.#deploymentId(), this.cloud)
  }

  async #deploymentId(): Promise<string> {
    const row = await this.#db.selectFrom('deployments').select('id').where('name', '=', this.#name).executeTakeFirst()
    return row?.id ?? ''
  }
}

/** Worlds share a database: what an earlier one left open, because it failed, is no business of this one. */
async function forget(db: Db): Promise<void> {
  await db.deleteFrom('claims').execute()
  await db.deleteFrom('offers').execute()
  await db.updateTable('install').set({ paused: false, guard: null }).execute()
  await db.updateTable('nodes').set({ state: 'gone' }).where('state', '<>', 'gone').execute()
  await db
    .updateTable('launches')
    .set({ state: 'cancelled', holds_slot: false })
    .where('holds_slot', '=', true)
    .execute()
}

/** A person may come too late: the refusal is an answer, and no fault. */
async function obeyed(command: Promise<unknown>): Promise<void> {
  await command.catch((error) => {
    if (!(error instanceof Failure)) throw error
    if (!['wrong_state', 'not_found', 'name_taken'].includes(error.record.code)) throw error
  })
}

const nthOf = <T>(all: readonly T[], nth: number): T | undefined => all[nth % Math.max(1, all.length)]
