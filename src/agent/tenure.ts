import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { agentProtocol } from '../core/agent-protocol.ts'
import { noticeServiceOf } from '../core/notice.ts'
import { version } from '../core/version.ts'
import type { Clock } from '../lib/clock.ts'
import { pause } from '../lib/clock.ts'
import type { AgentReply, Gpu, Heartbeat } from '../wire/agent.ts'
import { agentPaths } from '../wire/paths.ts'
import type { Answer, ControlClient } from './control-client.ts'
import { EngineFigures } from './engine-figures.ts'
import { Fleet } from './fleet.ts'
import { GpuWatch } from './gpu-watch.ts'
import { type Beat, Heart } from './heartbeat.ts'
import { type Hide, hiddenIn, hiderOf } from './hide.ts'
import type { Identity } from './identity.ts'
import type { Size } from './install-meter.ts'
import { placesOf } from './install-places.ts'
import { Lease } from './lease.ts'
import { Load } from './load.ts'
import { agentMetrics } from './metrics.ts'
import type { Gateways, Joined, JsonFailure, NodeDisk } from './node-disk.ts'
import { Notices } from './notices/notices.ts'
import { readWord, type Word } from './orders.ts'
import type { OwnLog } from './own-log.ts'
import { type Delivery, Progress, type Report } from './progress.ts'
import { makeServer } from './serve.ts'
import type { Settings } from './settings.ts'
import { Supervisor } from './supervisor.ts'
import { defaultTiming } from './timing.ts'

export interface TenureDeps {
  readonly settings: Settings
  readonly disk: NodeDisk
  readonly control: ControlClient
  readonly log: OwnLog
  readonly joined: Joined
  readonly identity: Identity
  readonly gpus: Gpu[]
  readonly clock: Clock
}

/** The loop takes this exit code as "never start me again", ends what is left of the engine and goes, too. */
export const endedForGood = 86

// The shortest time that a system leaves between SIGTERM and the end: Compute Engine's and Yandex's spot machines, and
// Slurm's KillWait. Requests in flight may take all of it but what stopping the engine needs.
const signalLeftMs = 30_000
const finishMs = 20_000
// The loop waits a second for an agent that has nothing in flight.
const farewellMs = 700

const leaseSaveMs = 10_000

/** The time between a join and the end of the node, as one life of the agent sees it. */
export class Tenure {
  readonly #deps: TenureDeps
  readonly #lease: Lease
  readonly #load: Load
  readonly #progress: Progress
  readonly #supervisor: Supervisor
  readonly #fleet: Fleet
  readonly #server: Server
  readonly #heart: Heart
  readonly #hide: Hide
  readonly #notices: Notices
  readonly #gpus: GpuWatch
  readonly #figures: EngineFigures
  readonly #timers: NodeJS.Timeout[] = []
  #heartbeatMs: number
  #heard = false
  #draining = false
  #drainOrdered = false
  #drainTimer: NodeJS.Timeout | null = null
  #drainEndsAt = Number.POSITIVE_INFINITY
  #aside = false
  #ending = false
  #leaving = false
  #whenEmpty: () => void = () => undefined
  #finish: (code: number) => void = () => undefined

  constructor(deps: TenureDeps) {
    const { disk, joined, clock, identity, control, log, settings } = deps
    const secrets = disk.secrets()
    this.#deps = deps
    this.#heartbeatMs = joined.heartbeatMs
    this.#hide = hiderOf([joined.credential, ...Object.values(secrets)])
    this.#lease = new Lease(disk, clock, joined.leaseMs)
    this.#load = new Load(clock.monotonicMs, disk.load())
    this.#progress = new Progress({
      send: (report) => this.#sendProgress(report),
      monotonicMs: clock.monotonicMs,
      mark: disk.logMark(),
      saveMark: (mark) => disk.saveLogMark(mark),
    })
    this.#supervisor = new Supervisor({
      spec: joined.engine,
      // What an older agent kept on its disk has none.
      install: joined.install ? { what: joined.install, places: placesOf(joined.install, settings.recipeDir) } : null,
      secrets,
      machine: settings.machine,
      disk,
      timing: defaultTiming,
      log,
      events: this.#supervisorEvents(),
    })
    this.#heart = new Heart(
      () => this.#beat(),
      () => settings.heartbeatMs ?? this.#heartbeatMs,
    )
    this.#fleet = new Fleet({
      credential: joined.credential,
      incarnation: identity.incarnation,
      pins: control.pins,
      // What an older agent kept on its disk has none.
      direct: joined.direct ?? null,
      log,
      onSocket: (socket) => this.#server.emit('connection', socket),
      onWord: () => this.#lease.renew(),
      onReleased: () => this.#heart.nudge(),
      onEmpty: () => this.#drainedMaybe(),
    })
    this.#server = this.#makeServer()
    this.#notices = this.#makeNotices()
    this.#gpus = this.#makeGpuWatch()
    this.#figures = new EngineFigures(() => this.#supervisor.port, clock.monotonicMs)
  }

  tell(text: string): void {
    this.#progress.line('agent', this.#hide(text))
  }

  async run(stop: AbortSignal): Promise<number> {
    const over = new Promise<number>((resolve) => {
      this.#finish = resolve
    })
    stop.addEventListener('abort', () => void this.#leave())
    this.#supervisor.start()
    this.#every(Math.min(1_000, this.#deps.joined.leaseMs / 4), () => this.#watchLease())
    this.#every(leaseSaveMs, () => this.#lease.save())
    this.#heart.nudge()
    this.#notices.start()
    this.#gpus.start()
    if (stop.aborted) void this.#leave()
    const code = await over
    this.#notices.stop()
    this.#gpus.stop()
    for (const timer of this.#timers) clearInterval(timer)
    this.#deps.control.close()
    return code
  }

  #every(ms: number, act: () => void): void {
    this.#timers.push(setInterval(act, ms))
  }

  #supervisorEvents() {
    return {
      onPhase: (phase: string, percent: number | null, size: Size | null = null) =>
        this.#progress.phase(phase, percent, size),
      onInstallLine: (text: string) => this.#progress.line('agent', this.#hide(text)),
      onLine: (text: string, place: { from: number; to: number }) =>
        this.#progress.line('engine', this.#hide(text), place),
      onLogRestart: () => this.#progress.logRestarted(),
      onAnswered: (agoMs: number) => this.#progress.answered(this.#deps.clock.monotonicMs() - agoMs),
      onFailure: (failure: JsonFailure) => this.#progress.failed(hiddenIn(this.#hide, failure)),
      onChange: () => this.#heart.nudge(),
    }
  }

  #makeServer(): Server {
    return makeServer({
      healthPath: this.#deps.joined.engine.healthPath,
      port: () => this.#supervisor.port,
      load: this.#load,
      metrics: () => this.#metrics(),
      onNudge: () => this.#heart.nudge(),
      onBusy: (socket: Duplex, wanted: number) => {
        this.#lease.renew()
        this.#fleet.busy(socket, wanted)
      },
      onIdle: (socket: Duplex) => this.#fleet.idle(socket),
    })
  }

  // ---- what is said to the control plane, and what it answers

  async #beat(): Promise<Beat> {
    const word = await this.#ask(agentPaths.heartbeat, this.#heartbeat())
    // For the next beat: this one must not wait for an engine.
    void this.#figures.look()
    // The first beat goes before the first dial, so that gateways may know this incarnation when it calls.
    if (!this.#heard) this.#fleet.follow(this.#knownGateways())
    this.#heard = true
    this.#deps.disk.saveLoad({ requests: this.#load.requests, busyMs: this.#load.busyMs() })
    if (word.kind === 'reply') return 'heard'
    return this.#aside || word.kind === 'too_old' ? 'slow' : 'again'
  }

  #metrics(): string {
    const { engine, load, gpus, draining } = this.#heartbeat()
    const { machine } = this.#deps.settings
    const sockets = this.#fleet.socketCount
    return agentMetrics({ machine, engine, load, gpus, draining, sockets, leaseLeftMs: this.#lease.leftMs() })
  }

  #heartbeat(): Heartbeat {
    const engine = this.#supervisor.report()
    return {
      ...this.#who(),
      agentVersion: version,
      engine: { ...engine, failure: engine.failure && hiddenIn(this.#hide, engine.failure) },
      load: { ...this.#load.counts(), spareSockets: this.#fleet.spareCount, ...this.#figures.lately() },
      gpus: this.#gpus.gpus,
      gpuFaults: this.#gpus.faults,
      draining: this.#draining,
      drained: this.#isDrained(),
    }
  }

  async #sendProgress(report: Report): Promise<Delivery> {
    const { kind } = await this.#ask(agentPaths.progress, { ...this.#who(), ...report })
    if (kind === 'malformed') return 'malformed'
    return kind === 'reply' ? 'taken' : 'later'
  }

  #makeNotices(): Notices {
    const { settings, disk, clock, log, joined } = this.#deps
    return new Notices({
      // What an older agent kept on its disk has none.
      service: noticeServiceOf(joined.noticeService ?? ''),
      metadataUrl: settings.metadataUrl,
      clock,
      disk,
      say: (text) => log.say(text),
      send: async (word) => {
        const { kind } = await this.#ask(agentPaths.notice, { ...this.#who(), ...word })
        return kind === 'reply' || kind === 'malformed' || kind === 'released'
      },
      onChange: () => this.#noticed(),
    })
  }

  #makeGpuWatch(): GpuWatch {
    const { settings, disk, log, gpus } = this.#deps
    const onFault = () => this.#heart.nudge()
    const say = (text: string) => log.say(text)
    return new GpuWatch({ gpus, env: process.env, disk, kernelLog: settings.kernelLog, say, onFault })
  }

  #who(): Pick<Heartbeat, 'protocol' | 'incarnation' | 'previous'> {
    const { incarnation, previous } = this.#deps.identity
    return { protocol: agentProtocol, incarnation, previous }
  }

  /** One call and everything that follows from its answer, whichever message it answered. */
  async #ask(path: string, body: { readonly previous: string | null }): Promise<Word> {
    const word = await this.#call(path, body)
    if (this.#ending) return word
    if (word.kind === 'reply') this.#obey(word.reply)
    if (word.kind === 'released') void this.#end('The control plane has released this node.')
    if (word.kind === 'second_holder' && !this.#deps.identity.refused(body.previous)) this.#standAside()
    if (word.kind === 'unknown_here') this.#say('The control plane does not know our credential.')
    if (word.kind === 'too_old') this.#say(`The control plane does not understand this agent any more: ${word.why}`)
    if (word.kind === 'malformed') this.#say(`The control plane cannot read ${path}: the versions may differ.`)
    if (word.kind === 'unclear') this.#say(`The control plane is away (${word.why}).`)
    return word
  }

  async #call(path: string, body: object): Promise<Word> {
    try {
      const answer: Answer = await this.#deps.control.post(path, this.#deps.joined.credential, body)
      return readWord(answer)
    } catch (error) {
      return { kind: 'unclear', why: error instanceof Error ? error.message : String(error) }
    }
  }

  /** On standard error only: a line about a report that failed must not become the next report. */
  #say(text: string): void {
    this.#deps.log.note(text)
  }

  #obey(reply: AgentReply): void {
    this.#deps.identity.accepted()
    this.#aside = false
    this.#heartbeatMs = Math.max(100, reply.heartbeatMs)
    this.#lease.setLength(reply.leaseMs)
    this.#lease.renew()
    if (reply.order === 'end') return void this.#end('The control plane has ordered the end of this node.')
    this.#drainOrdered = reply.order === 'drain'
    if (reply.order === 'drain') this.#drain(reply.drainDeadlineMs)
    else this.#serveUnlessEnding()
    this.#noteGateways(reply.gateways)
    this.#fleet.follow(reply.gateways)
  }

  #noteGateways(gateways: Gateways): void {
    if (JSON.stringify(gateways) !== JSON.stringify(this.#knownGateways())) this.#deps.disk.saveGateways(gateways)
  }

  #knownGateways(): Gateways {
    return this.#deps.disk.gateways() ?? this.#deps.joined.gateways
  }

  // ---- serving, draining, ending

  #serve(): void {
    if (this.#drainTimer) clearTimeout(this.#drainTimer)
    this.#drainTimer = null
    this.#drainEndsAt = Number.POSITIVE_INFINITY
    if (this.#draining) this.#deps.log.say('The drain was withdrawn: serving again.')
    this.#draining = false
    this.#fleet.reopen()
  }

  #noticed(): void {
    if (!this.#drainOrdered && !this.#aside) this.#serveUnlessEnding()
    this.#drainedMaybe()
  }

  /** Requests leave before the control plane has heard why: of a notice every second counts. */
  #serveUnlessEnding(): void {
    if (this.#notices.ending) this.#drain(null)
    else this.#serve()
  }

  #drain(deadlineMs: number | null): void {
    if (!this.#draining) this.#deps.log.say(`Draining: ${this.#load.inFlight} requests in flight are finished.`)
    this.#draining = true
    this.#fleet.withdraw()
    if (deadlineMs === null) return
    const at = this.#deps.clock.monotonicMs() + deadlineMs
    // Told with every heartbeat, and with the delays of the way: it comes nearer, it never moves away.
    if (at >= this.#drainEndsAt) return
    this.#drainEndsAt = at
    if (this.#drainTimer) clearTimeout(this.#drainTimer)
    // What is not done by then is cut: whoever set the deadline needs the machine back.
    this.#drainTimer = setTimeout(() => this.#fleet.destroy(), deadlineMs)
  }

  #isDrained(): boolean {
    return this.#draining && this.#load.inFlight === 0 && this.#fleet.socketCount === 0
  }

  #drainedMaybe(): void {
    if (!this.#isDrained() || this.#ending) return
    this.#notices.drained()
    this.#whenEmpty()
    this.#heart.nudge()
  }

  /** Somebody else speaks with our credential. The engine stays; which of us is right is an operator's question. */
  #standAside(): void {
    this.#say('Another agent holds our credential, or a newer start of this one does: standing aside.')
    this.#aside = true
    this.#fleet.withdraw()
  }

  #watchLease(): void {
    if (this.#lease.leftMs() > 0 || this.#load.inFlight > 0) return
    void this.#end('The lease has run out: nobody has spoken to this node for too long.')
  }

  /** The end of the node: nothing of the engine is left when this process exits. */
  async #end(why: string): Promise<void> {
    if (this.#ending) return
    this.#ending = true
    this.#deps.log.say(`${why} Ending.`)
    this.#heart.stop()
    this.#fleet.destroy()
    await this.#supervisor.end()
    this.#finish(endedForGood)
  }

  /** Only this process goes: a successor adopts the engine. Whoever told us to stop may stop the machine, too. */
  async #leave(): Promise<void> {
    if (this.#ending || this.#leaving) return
    this.#leaving = true
    this.#deps.log.say('The agent was told to stop.')
    this.#supervisor.detach()
    if (this.#load.inFlight > 0) this.#deps.disk.markLeaving()
    const told = Promise.all([this.#notices.signalled(signalLeftMs), this.#progress.close()])
    await Promise.race([told, pause(farewellMs)])
    await this.#finished()
    if (this.#ending) return
    this.#ending = true
    this.#heart.stop()
    this.#lease.save()
    this.#fleet.destroy()
    this.#finish(0)
  }

  /** Resolves when no request is in flight any more, or when it has taken too long. */
  async #finished(): Promise<void> {
    const over = new AbortController()
    this.#whenEmpty = () => over.abort()
    if (this.#load.inFlight > 0) await pause(finishMs, over.signal)
  }
}
