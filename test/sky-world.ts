import type { Cloud } from '../src/clouds/cloud.ts'
import { SkyApi } from '../src/clouds/skypilot/api.ts'
import { SkyLaunches } from '../src/clouds/skypilot/launches.ts'
import { SkyCloud } from '../src/clouds/skypilot/skypilot.ts'
import { SimSkyPilot } from '../src/sim/skypilot.ts'
import type { SkyFaults } from '../src/sim/skypilot-faults.ts'
import type { TestWorld } from '../src/store/world-for-tests.ts'
import { World, type WorldCloud, type WorldOptions, worldTraits } from './control-world.ts'
import type { Crashes } from './crashes.ts'
import { skyTask } from './sky-task.ts'

const traits = {
  ...worldTraits,
  requestLimitMs: 10_000,
  bootLimitMs: 20_000,
  loadLimitMs: 30_000,
  drainLimitMs: 8_000,
  lookMs: 10_000,
}
const place = (region: string) => ({ cloud: 'slurm', region, gpu: null, gpuCount: 0, vramGib: 0, spot: false })
export const skyOffers = ['lab/main', 'lab/spot'].map((region, i) => ({
  ...place(region),
  id: `slurm/${region}`,
  pricePerHourMicroUsd: 1_000_000 * (i + 1),
  available: null,
}))

// A user of the same server who is not us.
const others = '0be5e55e'

/** The real adapter on the fake API server, which works only when time passes in its world. */
export class SkyPilotOnTrial implements WorldCloud {
  readonly name = 'slurm'
  readonly traits = traits
  readonly sky = new SimSkyPilot({ byHand: true })
  readonly #base: TestWorld
  #url = ''
  /** What we say who we are, where the server asks for it. */
  token: string | null = null
  #process: { readonly launches: SkyLaunches; readonly cloud: Cloud } | null = null

  constructor(base: TestWorld) {
    this.#base = base
  }

  async start(faults: Partial<SkyFaults> = {}): Promise<this> {
    Object.assign(this.sky.faults, faults)
    this.#url = await this.sky.start()
    return this
  }

  async stop(): Promise<void> {
    this.#process?.launches.close()
    await this.sky.stop()
  }

  /** A process knows nothing of what those before it have seen, and may die at each call of the API. */
  seenBy(crashes: Crashes | null): Cloud {
    this.#process?.launches.close()
    const auth = this.token === null ? {} : { token: this.token }
    const real = new SkyApi({ url: this.#url, userId: 'f11e4dec', command: 'flightdeck tests', ...auth })
    const api = crashes ? dyingAtEachCall(real, crashes) : real
    const { clock } = this.#base.deps
    const launches = new SkyLaunches(api, clock, `fd-${this.#base.install}-`)
    const offered = { regions: [], gpus: [], spot: true }
    const cloud = new SkyCloud({ api, launches, clock, cloud: this.name, task: skyTask, ...offered, traits })
    this.#process = { launches, cloud }
    return cloud
  }

  workOn(): void {
    this.sky.workOn()
  }

  get machines() {
    const ours = [...this.sky.machines].filter(([name]) => this.sky.clusters.get(name)?.owner !== others)
    return new Map(ours.map(([name, { jobs }]) => [name, { name, bootsAt: jobs.includes('RUNNING') ? 0 : null }]))
  }

  booted() {
    const running = [...this.machines.values()].filter(({ bootsAt }) => bootsAt !== null)
    return running.map(({ name }) => ({ name, joinToken: this.#joinTokenOf(name) }))
  }

  /** How often a launch was posted for each name: a second one would be a second job. */
  get made(): ReadonlyMap<string, number> {
    const made = new Map<string, number>()
    for (const { cluster_name: name } of this.sky.posted) made.set(String(name), (made.get(String(name)) ?? 0) + 1)
    return made
  }

  /** Launches of people who use the same server, one for each name. */
  async postedByHand(names: readonly string[], userId = others): Promise<void> {
    const api = new SkyApi({ url: this.#url, userId, command: 'sky launch' })
    for (const clusterName of names) await api.launch({ clusterName, task: 'infra: "slurm/lab/main"' })
  }

  #joinTokenOf(name: string): string {
    const task = String(this.sky.posted.find((body) => body['cluster_name'] === name)?.['task'])
    return /FD_JOIN_TOKEN: "([^"]+)"/.exec(task)?.[1] ?? ''
  }

  offers = (): Promise<never> => Promise.reject(new Error('launches bring their offers'))
  answers = async (): Promise<void> => this.#own.answers?.()
  ensureMachine: Cloud['ensureMachine'] = (ask) => this.#own.ensureMachine(ask)
  ensureGone: Cloud['ensureGone'] = (name) => this.#own.ensureGone(name)
  listMachines: Cloud['listMachines'] = (hints) => this.#own.listMachines(hints)

  get #own(): Cloud {
    return this.#process?.cloud ?? this.seenBy(null)
  }
}

// What is read in the background is no step of anything: dying there is dying before the next call.
const background = new Set(['stream', 'jobStates', 'lastLines', 'clusterEvents'])

function dyingAtEachCall(api: SkyApi, crashes: Crashes): SkyApi {
  return new Proxy(api, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key)
      if (typeof value !== 'function') return value
      const call = (value as (...given: unknown[]) => Promise<unknown>).bind(target)
      if (background.has(String(key))) return call
      return (...given: unknown[]) => crashes.around(String(key), () => call(...given))
    },
  })
}

/** One launch on the fake API server, under the real loops. */
export async function skyWorld(
  base: TestWorld,
  { faults, ...options }: Omit<WorldOptions, 'faults'> & { readonly faults?: Partial<SkyFaults> } = {},
): Promise<World<SkyPilotOnTrial>> {
  const cloud = await new SkyPilotOnTrial(base).start(faults)
  return World.of(base, cloud, { offers: skyOffers, ...options })
}
