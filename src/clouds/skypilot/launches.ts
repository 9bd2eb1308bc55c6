import { type FailureRecord, failureRecord } from '../../core/failure.ts'
import type { Clock } from '../../lib/clock.ts'
import { type HearStep, type ListedMachine, type LookHints, type MachineStep, maybeThere } from '../cloud.ts'
import { type SkyApi, SkyError } from './api.ts'
import type { SkyCluster, SkyRequest } from './api-answers.ts'
import { EndedClusters } from './ended.ts'
import { EndpointWatch } from './endpoint-watch.ts'
import { EventWatch } from './event-watch.ts'
import { isForeign, nameTaken } from './failures.ts'
import { FreshLooks } from './fresh-looks.ts'
import { JobWatch } from './job-watch.ts'
import { type LaunchOutcome, outcomeOf } from './outcome.ts'
import { machineMayRun } from './steps.ts'
import { StreamWatch } from './stream-watch.ts'

export const launchVerb = 'sky.launch'
export const downVerb = 'sky.down'

/** Which port machines of a cloud open for gateways that call them, by the cloud's name. */
export type DirectPorts = ReadonlyMap<string, number>

interface Launch {
  /** Null while the request is open, or as long as nobody knows. */
  outcome: LaunchOutcome | null
  settledAt: number
}

// The requests of a day are kept by the server; what we are asked about happened within the last hours.
const pastLimit = 2_000
const rememberMs = 2 * 3_600_000
const jobMatterMs = 30 * 60_000
// Looks come once a minute at least; names are by chance, so nobody takes one in between by mistake.
const freshMs = 120_000

/** What the server's requests and clusters say of this install's machines, put together. One for each API server. */
export class SkyLaunches {
  readonly #api: SkyApi
  readonly #clock: Clock
  readonly #prefix: string
  readonly #launches = new Map<string, Launch>()
  readonly #streams: StreamWatch
  readonly #events: EventWatch
  readonly #jobs: JobWatch
  readonly #ended: EndedClusters
  readonly #hearers = new Set<HearStep>()
  readonly #endpoints: EndpointWatch
  readonly #fresh: FreshLooks
  readonly #directPorts: DirectPorts
  /** Places in the server's own queue of those launches that no worker has begun with. */
  #places: ReadonlyMap<string, number> = new Map()
  /** Our names under which the server lists clusters of other users. */
  #taken: ReadonlySet<string> = new Set()
  #learnt = false
  #looking: Promise<ListedMachine[]> | null = null
  /** The last look that was answered: when it began, and what it listed. */
  last: { readonly startedAt: number; readonly names: ReadonlySet<string> } | null = null

  constructor(api: SkyApi, clock: Clock, prefix: string, directPorts: DirectPorts = new Map()) {
    this.#api = api
    this.#clock = clock
    this.#prefix = prefix
    const tell = (step: MachineStep) => this.#tell(step)
    this.#streams = new StreamWatch(api, clock, tell)
    this.#events = new EventWatch(api, clock, tell)
    this.#jobs = new JobWatch(api, clock, tell)
    this.#ended = new EndedClusters(api)
    this.#endpoints = new EndpointWatch(api, clock)
    this.#fresh = new FreshLooks(api, clock)
    this.#directPorts = directPorts
  }

  isOurs = (name: string | null): name is string => name?.startsWith(this.#prefix) ?? false

  /** From now on the outcome of its request is told by every look, and its steps at once where the request is known. */
  follow(name: string, requestId?: string): void {
    if (!this.#launches.has(name)) this.#launches.set(name, { outcome: null, settledAt: 0 })
    if (requestId !== undefined) this.#streams.follow(name, requestId)
  }

  /** The clouds of one server share its steps: a listener that comes by several of them hears each once. */
  onStep(hear: HearStep): void {
    this.#hearers.add(hear)
  }

  /** Two clouds of one server look at the same moment: one answer serves both. */
  async look({ doubted, expected }: LookHints = { doubted: [], expected: [] }): Promise<ListedMachine[]> {
    this.#ended.expect(expected, this.#clock.now())
    // A look that began before the server had looked itself may miss what it found.
    if (await this.#fresh.ensure(doubted)) await this.#looking?.catch(() => [])
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null
    })
    return this.#looking
  }

  /** Nobody asked for it here, and a look shortly before found no cluster of this name: it was made up since. */
  isNews(name: string): boolean {
    const isFresh = this.last !== null && this.#clock.now() - this.last.startedAt < freshMs
    return isFresh && !this.#launches.has(name) && !this.#taken.has(name)
  }

  /** The cluster of this name turned out to be somebody else's: nothing of ours is there, and nothing is to be ended. */
  isForeign(name: string): boolean {
    const outcome = this.#launches.get(name)?.outcome ?? null
    return this.#taken.has(name) || (outcome !== 'succeeded' && isForeign(outcome))
  }

  #tell(step: MachineStep): void {
    for (const hear of this.#hearers) hear(step)
  }

  close(): void {
    this.#streams.close()
  }

  async #look(): Promise<ListedMachine[]> {
    const startedAt = this.#clock.now()
    if (!this.#learnt) await this.#learnPast()
    // Requests first: one that ends between the two calls has left a cluster, or will never make one.
    const open = await this.#openLaunches()
    const rows = (await this.#api.clusters()).filter(({ name }) => this.isOurs(name))
    const clusters = new Map(rows.filter(({ foreign }) => !foreign).map((cluster) => [cluster.name, cluster]))
    this.#taken = new Set(rows.filter(({ foreign }) => foreign).map(({ name }) => name))
    this.#forgetOld(open, clusters)
    // A machine that this process has not seen before: did its launch end well, or does it only look like it?
    for (const name of clusters.keys()) this.follow(name)
    const over = [...this.#launches].filter(([name]) => !open.has(name))
    for (const name of open.keys()) this.#launches.set(name, { outcome: null, settledAt: 0 })
    const unsettled = over.filter(([, { outcome }]) => outcome === null)
    await Promise.all(unsettled.map(([name, launch]) => this.#settle(name, launch, clusters.get(name))))
    const listed = [...this.#launches.keys()].flatMap((name) => this.#listed(name, open.get(name), clusters.get(name)))
    listed.push(...(await this.#vanished(open, clusters)))
    this.last = { startedAt, names: new Set(listed.filter(maybeThere).map(({ name }) => name)) }
    return listed
  }

  /** Machines that were there and are not any more; of a launch that failed, its failure has been told. */
  async #vanished(open: ReadonlyMap<string, unknown>, clusters: Map<string, SkyCluster>): Promise<ListedMachine[]> {
    const gone = await this.#ended.after([...clusters.values()], this.#clock.now())
    return gone
      .filter(({ name }) => !open.has(name) && (this.#launches.get(name)?.outcome ?? 'succeeded') === 'succeeded')
      .map(({ name, why }) => ({ name, detail: {}, ask: { open: false, machine: false, refusal: null }, ended: why }))
  }

  async #openLaunches(): Promise<Map<string, SkyRequest>> {
    const all = (await this.#api.openRequests()).filter(({ verb }) => verb === launchVerb)
    // Others launch on this server too, and wait in the same line.
    const line = all.filter(({ waits }) => waits).sort((a, b) => a.createdAt - b.createdAt)
    this.#places = new Map(line.map(({ clusterName }, i) => [String(clusterName), i + 1]))
    const launches = all.filter(({ clusterName, foreign }) => this.isOurs(clusterName) && !foreign)
    for (const { id, clusterName } of launches) this.follow(String(clusterName), id)
    return new Map(launches.map((request) => [String(request.clusterName), request]))
  }

  /** What failed while this process was not there has not been told yet. */
  async #learnPast(): Promise<void> {
    const since = this.#clock.now() - rememberMs
    for (const { verb, clusterName, createdAt, foreign } of await this.#api.pastRequests(pastLimit)) {
      if (verb === launchVerb && createdAt >= since && this.isOurs(clusterName) && !foreign) this.follow(clusterName)
    }
    this.#learnt = true
  }

  #forgetOld(open: ReadonlyMap<string, unknown>, clusters: ReadonlyMap<string, unknown>): void {
    const until = this.#clock.now() - rememberMs
    for (const [name, { outcome, settledAt }] of this.#launches) {
      if (outcome === null || settledAt > until || open.has(name) || clusters.has(name)) continue
      this.#launches.delete(name)
      this.#streams.forget(name)
      this.#events.forget(name)
      this.#jobs.forget(name)
      this.#endpoints.forget(name)
    }
  }

  /** The request is not open any more: what became of it? */
  async #settle(name: string, launch: Launch, cluster: SkyCluster | undefined): Promise<void> {
    const request = (await this.#api.requestsOf(name)).find(({ verb, foreign }) => verb === launchVerb && !foreign)
    if (request?.state === 'open') return
    launch.outcome = await this.#outcomeOf(name, request, cluster)
    launch.settledAt = this.#clock.now()
    // Of one that ended long ago the agent has spoken; with many of them the server would have much to do.
    const endedAt = request?.finishedAt ?? cluster?.launchedAt ?? 0
    if (launch.outcome === 'succeeded' && launch.settledAt - endedAt < jobMatterMs) this.#jobs.follow(name)
  }

  async #outcomeOf(
    name: string,
    request: SkyRequest | undefined,
    cluster: SkyCluster | undefined,
  ): Promise<Launch['outcome']> {
    if (request) return outcomeOf(this.#api, request)
    // The server forgets its requests when it starts. A launch that ended well before that has left a job.
    const jobs = cluster ? await this.#jobsOf(name) : []
    if (jobs === null) return null
    return jobs.length > 0 ? 'succeeded' : forgotten(cluster?.status === 'UP')
  }

  /** Null without an answer: then it is asked again, for a refusal would end a machine that may be well. */
  async #jobsOf(name: string): Promise<string[] | null> {
    try {
      return await this.#api.jobStates(name)
    } catch (error) {
      if (!(error instanceof SkyError)) throw error
      return error.kind === 'failed' ? [] : null
    }
  }

  #listed(name: string, open: SkyRequest | undefined, cluster: SkyCluster | undefined): ListedMachine[] {
    const outcome = this.#launches.get(name)?.outcome ?? null
    // A cluster that is gone has no queue to look at.
    const ofItsJob = cluster === undefined ? null : this.#jobs.failureOf(name)
    const told = outcome === 'succeeded' ? ofItsJob : outcome
    const refusal = this.#taken.has(name) ? nameTaken(name) : told
    const isOpen = open !== undefined
    // A row comes before the machine, and stays for moments when there was no room for one. Else, without an open
    // request nobody is about to make one: then it may be there.
    const noneYet = isOpen || refusal?.code === 'no_capacity' || refusal?.code === 'no_quota'
    const mayRun = cluster !== undefined && (!noneYet || machineMayRun(cluster.status, cluster.lastEvent))
    const machine = mayRun && !isForeign(refusal)
    if (!machine && !isOpen && refusal === null) return []
    const queuePlace = isOpen && cluster === undefined ? this.#places.get(name) : undefined
    const waits = queuePlace === undefined ? null : `Waits for a worker of the SkyPilot API server, place ${queuePlace}`
    const stream = this.#streams.standOf(name)
    const unread = stream.heardAt === null && !cluster?.hash
    const said = waits ?? (unread ? (cluster?.lastEvent ?? open?.message ?? null) : null)
    if (isOpen && said) this.#tell({ name, n: null, text: said })
    if (isOpen && cluster) this.#events.follow(cluster, stream)
    const step = isOpen ? (said ?? this.#events.stepOf(name, stream) ?? this.#streams.stepOf(name)) : null
    const direct = isOpen || !machine ? null : this.#addressOf(cluster)
    const detail = {
      status: cluster?.status ?? null,
      event: cluster?.lastEvent ?? null,
      ...(cluster?.hash ? { hash: cluster.hash } : {}),
      ...(step ? { step } : {}),
      ...(queuePlace !== undefined && { queuePlace }),
      ...(direct ? { direct } : {}),
    }
    return [{ name, detail, ask: { open: isOpen, machine, refusal, ...(queuePlace !== undefined && { queuePlace }) } }]
  }

  #addressOf(cluster: SkyCluster | undefined): string | null {
    const port = this.#directPorts.get(cluster?.cloud?.toLowerCase() ?? '')
    return cluster && port !== undefined ? this.#endpoints.addressOf(cluster.name, port) : null
  }
}

function forgotten(isUp: boolean): FailureRecord {
  const but = isUp ? ' It calls the machine up, but no job was ever submitted to it: its set-up never ran.' : ''
  return failureRecord('cloud_unavailable', `The SkyPilot API server was restarted in the middle of the launch.${but}`)
}
