import { type Cluster, ownedByOthers, type Request } from './skypilot-answers.ts'
import type { SkyFaults } from './skypilot-faults.ts'
import {
  type At,
  type Launch,
  launchSteps,
  nextAfterMs,
  noCapacity,
  pendsAfterMs,
  refusalOf,
  refusedAfterMs,
} from './skypilot-said.ts'
import type { SkyWork } from './skypilot-work.ts'

/** A job that runs at the "cloud". It outlives the server's requests, its restarts, and a row that went away. */
export interface Machine {
  readonly name: string
  jobs: string[]
}

/** What of the server its launches work with. */
export interface LaunchGround {
  readonly faults: SkyFaults
  readonly work: SkyWork
  readonly machines: Map<string, Machine>
  readonly clusters: Map<string, Cluster>
  readonly happens: (name: string, reason: string, more?: readonly string[]) => void
  readonly finish: (request: Request, status: Request['status']) => void
  /** Told of each line when it is written. */
  readonly written: (line: string, name: string) => void
}

// As recorded: a launch that nobody had room for is tried again after 30 s. How long a job waits was not recorded.
const retryMs = 30_000
const jobStartMs = 1_000
const partitions = ['main', 'spot']

/** One launch, with what it says and when, as it was recorded: at each place in turn until one has room. */
export class SkyLaunch {
  readonly #ground: LaunchGround
  readonly #request: Request
  readonly #name: string
  readonly #places: readonly string[]
  readonly #gpus: string
  readonly #made: Pick<Cluster, 'name' | 'region' | 'owner' | 'command'>
  readonly #forEver: boolean
  #tried = 0
  #step = 0

  constructor(ground: LaunchGround, request: Request, name: string, body: Readonly<Record<string, unknown>>) {
    const task = String(body['task'])
    const [, cloud = 'slurm', where = 'lab'] = /infra: "?(\w+)\/([\w/-]+)/.exec(task) ?? []
    const region = cloud === 'slurm' ? where : `${cloud}/${where}`
    this.#ground = ground
    this.#request = request
    this.#name = name
    this.#places = region.includes('/') ? [region] : partitions.map((partition) => `${region}/${partition}`)
    this.#gpus = /accelerators: "?(\w+:\d+)/.exec(task)?.[1] ?? 'H100:1'
    this.#made = { name, region, owner: request.userId, command: String(body['entrypoint_command'] ?? '') }
    this.#forEver = body['retry_until_up'] === true
  }

  begin(): void {
    this.#later(this.#steps[0]?.atMs ?? 0, () => this.#go())
  }

  get #at(): At {
    return { name: this.#name, place: this.#places[this.#tried] ?? '', gpus: this.#gpus }
  }

  get #steps(): readonly Launch[] {
    return launchSteps(this.#at)
  }

  #later(recordedMs: number, act: () => void): void {
    const goOn = () => {
      if (this.#request.status !== 'CANCELLED') act()
    }
    this.#ground.work.later(this.#request.id, goOn, recordedMs)
  }

  #write(lines: readonly string[]): void {
    this.#request.log.push(...lines)
    for (const line of lines) this.#ground.written(line, this.#name)
  }

  #go(): void {
    const { faults } = this.#ground
    const step = this.#steps[this.#step]
    if (!step) return
    const stays = faults.stopBefore === step.name
    if (!stays) Object.assign(this.#request, { status: 'RUNNING', waits: null })
    if (stays) this.#later(0, () => this.#go())
    else if (this.#failsAt(step)) this.#fail()
    else if (step.name === 'machine' && !this.#hasRoom()) this.#pend()
    else this.#goThrough(step)
  }

  #goThrough(step: Launch): void {
    this.#take(step)
    this.#step += 1
    const next = this.#steps[this.#step]
    if (!next) return
    const waits = next.name === 'machine' && !this.#hasRoom() ? pendsAfterMs : next.atMs - step.atMs
    this.#later(waits, () => this.#go())
  }

  #hasRoom(): boolean {
    return !this.#ground.faults.full.has(this.#at.place)
  }

  #pend(): void {
    this.#write(refusalOf(this.#at).pending)
    this.#later(refusedAfterMs, () => (this.#hasRoom() ? this.#go() : this.#leave()))
  }

  /** This place is given up, for the next one if there is one. */
  #leave(): void {
    const { refused, next } = refusalOf(this.#at)
    this.#write(refused)
    this.#tried += 1
    if (this.#tried < this.#places.length) {
      this.#write(next)
      this.#later(nextAfterMs, () => this.#beginAt('row'))
    } else this.#endRound()
  }

  /** Asked to try for ever, the server parks the request between its rounds. */
  #endRound(): void {
    const { noneLeft, parked } = refusalOf(this.#at)
    const error = noCapacity(this.#places, this.#gpus)
    if (this.#forEver) {
      const [why = ''] = error.message.split('\n')
      this.#write(parked(why))
      Object.assign(this.#request, { status: 'WAITING', waits: `${why} (retrying in 30s)` })
      this.#ground.happens(this.#name, 'Retrying provisioning after 30s')
      this.#tried = 0
      this.#later(retryMs, () => this.#beginAt('placing'))
    } else {
      this.#write(noneLeft)
      this.#request.error = error
      this.#fail()
    }
  }

  #beginAt(name: Launch['name']): void {
    this.#step = this.#steps.findIndex((step) => step.name === name)
    this.#go()
  }

  #failsAt({ name: step }: Launch): boolean {
    const { launchError, setUpError, foreignNames } = this.#ground.faults
    const { clusters } = this.#ground
    const request = this.#request
    if (step === 'placing' && launchError) request.error = launchError
    if (step === 'row' && foreignNames) {
      const lastEvent = 'All nodes up; SkyPilot runtime healthy.'
      const others = { owner: '50me0ne5', command: 'sky launch', status: 'UP', lastEvent }
      clusters.set(this.#name, { ...this.#made, madeAt: Date.now(), ...others })
      request.error = ownedByOthers(this.#name)
    }
    if (step === 'up') request.error = setUpError
    return request.error !== null
  }

  #fail(): void {
    const { machines, clusters, finish } = this.#ground
    // A machine that came up and could not be set up stays, and is billed.
    if (!machines.has(this.#name) && clusters.get(this.#name)?.status === 'INIT') clusters.delete(this.#name)
    finish(this.#request, 'FAILED')
  }

  #take(step: Launch): void {
    const { machines, clusters, happens, finish, faults } = this.#ground
    const name = this.#name
    this.#write(step.log)
    if (step.name === 'row' && !clusters.has(name))
      clusters.set(name, { ...this.#made, madeAt: Date.now(), status: 'INIT', lastEvent: '' })
    if (step.name === 'machine' && !machines.has(name)) machines.set(name, { name, jobs: [] })
    const cluster = clusters.get(name)
    if (cluster && step.event) happens(name, step.event, step.more)
    if (cluster && step.name === 'up') cluster.status = 'UP'
    if (step.name !== 'job') return
    if (!faults.noJobs) this.#submit()
    this.#request.value = { job_id: 1, handle: 'gAROLg==' }
    finish(this.#request, 'SUCCEEDED')
  }

  /** A job waits for its machine for a moment, then it comes to what it comes to. */
  #submit(): void {
    const machine = this.#ground.machines.get(this.#name)
    if (!machine) return
    const place = machine.jobs.push('PENDING') - 1
    const runs = () => {
      machine.jobs[place] = this.#ground.faults.jobState
    }
    this.#ground.work.later(`job ${place} of ${this.#name}`, runs, jobStartMs)
  }
}
