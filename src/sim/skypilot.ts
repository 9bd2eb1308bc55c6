import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  acceleratorRow,
  awsPrices,
  type Cluster,
  clusterRow,
  hashOf,
  interrupted,
  isOpen,
  jobRow,
  kubernetesFree,
  kubernetesRows,
  noKubernetesGpus,
  noSuchCluster,
  notUp,
  ownedByOthers,
  type Request,
  rowOf,
  rowsFor,
} from './skypilot-answers.ts'
import { noFaults } from './skypilot-faults.ts'
import { readCall, type SkyCall, send } from './skypilot-http.ts'
import { type LaunchGround, type Machine, SkyLaunch } from './skypilot-launch.ts'
import { streamOf } from './skypilot-stream.ts'
import { SkyWork } from './skypilot-work.ts'

// As recorded. What is not named was answered too soon to tell.
const downMs = 6_000
const answerMs: Readonly<Record<string, number>> = {
  '/api/cancel': 127,
  '/cluster_events': 111,
  '/enabled_clouds': 45,
  '/endpoints': 248,
  '/list_accelerators': 760,
  '/queue': 7_106,
  '/slurm_gpu_availability': 659,
  '/status': 171,
}
const tryLater = { detail: 'Server is shutting down, please try again later.' }

/**
 * A contract fake of the SkyPilot API server: its routes, answers and order of events as recorded from 0.14.1, over
 * real HTTP. Ends as the real one does: a cancelled launch leaves its machine, and a restart forgets all requests.
 */
export class SimSkyPilot {
  readonly faults = noFaults()
  readonly machines = new Map<string, Machine>()
  readonly clusters = new Map<string, Cluster>()
  readonly requests = new Map<string, Request>()
  /** What happened to each cluster, by its hash: it is told when the row is gone, too. */
  readonly #events = new Map<string, { reason: string; transitioned_at: number }[]>()
  /** The host part of the endpoints of every machine; null: the cloud opens no port. */
  endpointHost: string | null = null
  /** Bodies of every launch that was posted, in their order. */
  readonly posted: Readonly<Record<string, unknown>>[] = []
  /** Told of every call that comes in. */
  onCall: ((call: SkyCall) => void) | null = null
  /** Told of each line when it is written. */
  onLine: ((line: string, cluster: string) => void) | null = null
  readonly #server: Server
  readonly work: SkyWork
  readonly #ground: LaunchGround

  /** `pace` is a share of the time that was recorded. By hand: the server works on its requests only when it is told to. */
  constructor({ pace = 1 / 1_000, byHand = false }: { pace?: number; byHand?: boolean } = {}) {
    this.work = new SkyWork({ pace, byHand })
    const { faults, work, machines, clusters } = this
    this.#ground = {
      ...{ faults, work, machines, clusters },
      happens: (...what) => this.#happens(...what),
      finish: (...what) => this.#finish(...what),
      written: (line, name) => this.onLine?.(line, name),
    }
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.work.forgetAll()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** Killed and started again: requests are forgotten, what they had begun stays as it is. */
  restart(): void {
    this.work.forgetAll()
    this.requests.clear()
  }

  /** The machine is taken away, or somebody ends it, and the row goes with it. */
  vanish(name: string, event = 'All nodes terminated, cleaning up the cluster.'): void {
    this.machines.delete(name)
    if (this.clusters.delete(name)) this.#happens(name, event)
  }

  /** The machine is taken away, and the server has not looked yet: it goes on listing it. */
  lose(name: string): void {
    this.machines.delete(name)
  }

  #happens(name: string, reason: string, more: readonly string[] = []): void {
    const hash = hashOf(name)
    const happened = [reason, ...more].map((one) => ({ reason: one, transitioned_at: Math.floor(Date.now() / 1_000) }))
    this.#events.set(hash, [...(this.#events.get(hash) ?? []), ...happened])
    const cluster = this.clusters.get(name)
    if (cluster) cluster.lastEvent = reason
  }

  /** Somebody cancels every request at the server. */
  cancelAll(): void {
    for (const request of this.requests.values()) if (isOpen(request)) this.#finish(request, 'CANCELLED')
  }

  /** The server is about to be restarted with care, and ends what it works on. */
  interruptAll(): void {
    for (const request of this.requests.values()) {
      if (!isOpen(request)) continue
      request.error = interrupted(request.id)
      this.#finish(request, 'CANCELLED')
    }
  }

  /** What the refresh daemon was seen to do with a launch that never ended. */
  claimUp(name: string): void {
    const cluster = this.clusters.get(name)
    if (!cluster) return
    cluster.status = 'UP'
    this.#happens(name, 'All nodes up; SkyPilot runtime healthy.')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    const id = randomUUID()
    response.setHeader('x-skypilot-request-id', id)
    const call = await readCall(request)
    const { url, headers, body } = call
    this.onCall?.(call)
    // Without both of its headers a client is taken for an old one that checks nothing.
    const version = headers['x-skypilot-version'] ? headers['x-skypilot-api-version'] : undefined
    const { apiVersion } = this.faults
    if (version && apiVersion !== null)
      response.setHeader('x-skypilot-api-version', String(apiVersion)).setHeader('x-skypilot-version', '0.14.1')
    if (this.faults.away) return response.destroy()
    const { token } = this.faults
    if (token !== null && headers.authorization !== `Bearer ${token}`)
      return send(response, 401, { detail: 'Authentication required' })
    if (version && Number(version) < this.faults.leastVersion)
      return send(response, 400, { error: 'version_mismatch', message: 'Your SkyPilot client version is too old' })
    if (this.#isBusy(call)) return send(response, 503, tryLater)
    if (request.method === 'POST') return this.#post(url.pathname, id, body, response)
    const asked = this.requests.get(url.searchParams.get('request_id') ?? '')
    if (url.pathname === '/api/health')
      return send(response, 200, { status: 'healthy', api_version: '62', version: '0.14.1' })
    if (url.pathname === '/api/status')
      return send(response, 200, rowsFor(url.searchParams, this.requests).map(rowOf).map(this.#strange))
    if (asked && url.pathname === '/api/get') return this.#get(asked, response)
    if (asked && url.pathname === '/api/stream') return streamOf(asked, this.faults, response, this.work.pace)
    if (url.pathname === '/enabled_clouds') {
      const request = this.#newRequest(id, 'sky.enabled_clouds', null, this.#userOf({}))
      this.#soon(request, url.pathname, () => this.#done(request, this.faults.infra))
      return send(response, 200, null)
    }
    const unknown = url.searchParams.get('request_id')
    return send(response, 404, { detail: unknown ? `Request '${unknown}' not found` : 'Not Found' })
  }

  #isBusy({ method, url }: SkyCall): boolean {
    const { faults } = this
    const isLaunch = method === 'POST' && url.pathname === '/launch'
    if (faults.busy > 0) faults.busy -= 1
    else if (isLaunch && faults.busyLaunches > 0) faults.busyLaunches -= 1
    else return false
    return true
  }

  #post(path: string, id: string, body: Readonly<Record<string, unknown>>, response: ServerResponse): unknown {
    const name = typeof body['cluster_name'] === 'string' ? body['cluster_name'] : null
    const request = this.#newRequest(id, `sky.${path.slice(1).replace('/', '_')}`, name, this.#userOf(body))
    if (path === '/launch' && name !== null) {
      this.posted.push(body)
      new SkyLaunch(this.#ground, request, name, body).begin()
      if (this.faults.loseAnswers > 0) {
        this.faults.loseAnswers -= 1
        return response.destroy()
      }
      if (this.faults.busyAnswers > 0) {
        this.faults.busyAnswers -= 1
        return send(response, 503, tryLater)
      }
    } else if (path === '/down' && name !== null) this.#down(request, name)
    else if (path === '/logs') {
      this.#done(request, null)
      return response.end(this.faults.jobLines.map((line) => `\u001b[36m(agent, pid=1)\u001b[0m ${line}\n`).join(''))
    } else this.#soon(request, path, () => this.#tell(request, path, name, body))
    return send(response, 200, null)
  }

  #soon(request: Request, path: string, act: () => void): void {
    this.work.answer(request.id, act, answerMs[path] ?? 0)
  }

  #tell(request: Request, path: string, name: string | null, body: Readonly<Record<string, unknown>>): unknown {
    if (path === '/api/cancel') return this.#cancel(request, body)
    if (path === '/cluster_events') return this.#tellEvents(request, body)
    if (path === '/queue' && name !== null) return this.#queue(request, name)
    if (path === '/realtime_kubernetes_gpu_availability') return this.#freeKubernetes(request)
    return this.#done(request, this.#valueOf(path, body))
  }

  /** By name only while the row is there. */
  #tellEvents(
    request: Request,
    { cluster_name: name, cluster_hash: hash }: Readonly<Record<string, unknown>>,
  ): unknown {
    const events = this.#events.get(String(hash ?? hashOf(String(name))))
    if (events && (hash || this.clusters.has(String(name)))) return this.#done(request, events)
    request.error = { type: 'ValueError', message: `Hash for cluster ${String(name)} not found.` }
    return this.#finish(request, 'FAILED')
  }

  #freeKubernetes(request: Request): unknown {
    const free = kubernetesFree(this.faults.kubernetes)
    if (free.length > 0) return this.#done(request, free)
    request.error = noKubernetesGpus
    return this.#finish(request, 'FAILED')
  }

  #valueOf(path: string, body: Readonly<Record<string, unknown>>): unknown {
    if (path === '/status') {
      const names = body['cluster_names'] as string[] | null
      if (body['refresh'] === 'FORCE') this.#lookAtClouds(names)
      const { listingLagMs, unlisted } = this.faults
      const ripe = Date.now() - listingLagMs
      const rows = [...this.clusters.values()].filter(
        ({ name, madeAt }) => madeAt <= ripe && !unlisted.has(name) && (names?.includes(name) ?? true),
      )
      return rows.map((row) => this.#strange(clusterRow(row)))
    }
    if (path === '/endpoints') return this.#endpoints(String(body['cluster']), String(body['port']))
    if (path === '/slurm_gpu_availability') return [['lab', [['H100', [1, 2, 4, 8], 8, 7]], null]]
    if (path === '/list_accelerators') {
      const [cloud] = (body['clouds'] as string[] | undefined) ?? []
      if (cloud === 'kubernetes') return kubernetesRows(this.faults.kubernetes)
      if (cloud === 'aws' && this.faults.machineTypes) return awsPrices()
      return { H100: [1, 2].map((count) => acceleratorRow(count, cloud)) }
    }
    return null
  }

  /** What the real one does by itself once a minute, and this one only when it is asked to. */
  #lookAtClouds(names: readonly string[] | null): void {
    for (const { name, status } of this.clusters.values())
      if (status === 'UP' && !this.machines.has(name) && (names?.includes(name) ?? true)) this.vanish(name)
  }

  #endpoints(name: string, port: string): unknown {
    return this.endpointHost !== null && this.machines.has(name) ? { [port]: `${this.endpointHost}:${port}` } : {}
  }

  #strange = (row: Record<string, unknown>): Record<string, unknown> => {
    const news: Readonly<Record<string, string>> = { RUNNING: 'REHEARSING', INIT: 'HATCHING' }
    const status = String(row['status'])
    return this.faults.strange ? { ...row, status: news[status] ?? status, mood: { good: true } } : row
  }

  #queue(request: Request, name: string): unknown {
    const cluster = this.clusters.get(name)
    const machine = this.machines.get(name)
    if (cluster?.status === 'UP' && machine)
      return this.#done(request, machine.jobs.map((status, i) => jobRow(name, i + 1, status)).reverse())
    request.error = cluster ? notUp(name, cluster.status) : noSuchCluster(name)
    return this.#finish(request, 'FAILED')
  }

  /** A token says who it is; without one the server believes what it is told, and takes who tells nothing for itself. */
  #userOf({ env_vars: said }: Readonly<Record<string, unknown>>): string {
    const { token, userOfToken } = this.faults
    return token
      ? userOfToken
      : String((said as Record<string, unknown> | undefined)?.['SKYPILOT_USER_ID'] ?? 'f11e4dec')
  }

  /** Refused where there is no row yet, also while a launch is about to make one. */
  #down(request: Request, name: string): unknown {
    if (!this.clusters.has(name)) {
      request.error = noSuchCluster(name)
      return this.#finish(request, 'FAILED')
    }
    if (this.clusters.get(name)?.owner === '50me0ne5') {
      request.error = ownedByOthers(name)
      return this.#finish(request, 'FAILED')
    }
    for (const other of this.requests.values())
      if (other !== request && other.clusterName === name && isOpen(other)) this.#finish(other, 'CANCELLED')
    request.status = 'RUNNING'
    const ends = () => {
      this.vanish(name, 'Cluster was terminated by user.')
      this.#done(request, null)
    }
    return this.work.later(request.id, ends, downMs)
  }

  /** Ends the work on a request and cleans nothing up. */
  #cancel(request: Request, body: Readonly<Record<string, unknown>>): void {
    const wanted = body['request_ids'] as string[] | null
    const ended = [...this.requests.values()].filter(
      (other) => other !== request && isOpen(other) && (wanted === null || wanted.includes(other.id)),
    )
    for (const other of ended) this.#finish(other, 'CANCELLED')
    this.#done(
      request,
      ended.map(({ id }) => id),
    )
  }

  #newRequest(id: string, verb: string, clusterName: string | null, userId: string): Request {
    const open = {
      status: 'PENDING' as const,
      createdAt: Date.now(),
      finishedAt: null,
      value: null,
      error: null,
      waits: null,
    }
    const request: Request = { id, verb, clusterName, userId, ...open, log: [] }
    this.requests.set(id, request)
    return request
  }

  #done(request: Request, value: unknown): void {
    request.value = value
    this.#finish(request, 'SUCCEEDED')
  }

  #finish(request: Request, status: Request['status']): void {
    request.status = status
    request.finishedAt = Date.now()
    this.work.forget(request.id)
  }

  /** By hand: every request that the server works on goes one step further. */
  workOn(): void {
    this.work.goOn()
  }

  #get(request: Request, response: ServerResponse): unknown {
    const error = request.error ? JSON.stringify({ object: 'gAROLg==', ...request.error }) : 'null'
    const row = { ...rowOf(request), return_value: JSON.stringify(request.value), error }
    return request.error ? send(response, 500, { detail: row }) : send(response, 200, row)
  }
}
