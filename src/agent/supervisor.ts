import { pause } from '../lib/clock.ts'
import { codeOf } from '../lib/error-code.ts'
import type { EngineSpec, Heartbeat, Installation } from '../wire/agent.ts'
import { EngineLog } from './engine-log.ts'
import {
  adoptEngine,
  type EngineRun,
  type EngineTraces,
  endLeftovers,
  endStrays,
  engineEnvironment,
  StartError,
  startEngine,
  stopEngine,
} from './engine-process.ts'
import { commandNamed, diskFullFailure, exitFailure, hungFailure, unlistedFailure } from './engine-report.ts'
import { type Hide, hiddenIn, hiderOf } from './hide.ts'
import { installAll } from './install.ts'
import type { Size } from './install-meter.ts'
import { filledSpec, type Places } from './install-places.ts'
import { type EngineHistory, type EngineRecord, graceMsOf, type JsonFailure, type NodeDisk } from './node-disk.ts'
import type { OwnLog } from './own-log.ts'
import { isRunning } from './proc.ts'
import { restartAfterMs, stillCounting } from './restart-policy.ts'
import type { Timing } from './timing.ts'
import { engineVersion, isHealthy, untilAnswered, type Verified, type VerifyTarget } from './verify.ts'

export interface SupervisorEvents {
  readonly onPhase: (phase: string, percent: number | null, size?: Size | null) => void
  readonly onInstallLine: (text: string) => void
  readonly onLine: (text: string, place: { from: number; to: number }) => void
  readonly onLogRestart: () => void
  /** The engine passed all checks; the control plane is to know at once. */
  readonly onAnswered: (agoMs: number) => void
  /** Final: nothing will be started again. */
  readonly onFailure: (failure: JsonFailure) => void
  /** State, restarts or version changed; the next heartbeat should not wait. */
  readonly onChange: () => void
}

export interface SupervisorDeps {
  readonly spec: EngineSpec
  /** What has to be on the machine before the engine can start, and where; null: it is all there. */
  readonly install: { readonly what: Installation; readonly places: Places } | null
  readonly secrets: Readonly<Record<string, string>>
  readonly machine: string
  readonly disk: NodeDisk
  readonly timing: Timing
  readonly log: OwnLog
  readonly events: SupervisorEvents
}

type EngineState = Heartbeat['engine']

const mostPortRaces = 2

/** Keeps one engine running: adopts or starts it, follows its log, proves that it answers, restarts it within bounds. */
export class Supervisor {
  readonly #deps: SupervisorDeps
  readonly #stop = new AbortController()
  readonly #traces: EngineTraces
  /** An engine that fails may print what it was given. */
  readonly #hide: Hide
  #history: EngineHistory
  #record: EngineRecord | null = null
  #state: EngineState['state'] = 'starting'
  #version: string | null = null
  #hung: JsonFailure | null = null
  #stopAsked = false
  #portRaces = 0
  #life: Promise<void> | null = null

  constructor(deps: SupervisorDeps) {
    const { install, spec } = deps
    this.#deps = install ? { ...deps, spec: filledSpec(spec, install.places) } : deps
    this.#hide = hiderOf(Object.values(deps.secrets))
    this.#history = deps.disk.history()
    this.#traces = { machine: deps.machine, logPath: deps.disk.engineLog }
  }

  start(): void {
    this.#life ??= this.#live()
  }

  /** Null while there is no engine that could take a request. */
  get port(): number | null {
    return this.#state === 'serving' ? (this.#record?.port ?? null) : null
  }

  report(): EngineState {
    return {
      state: this.#hung ? 'failed' : this.#state,
      version: this.#version,
      restarts: this.#history.restarts,
      failure: this.#hung ?? this.#history.failure,
    }
  }

  /** Leaves the engine alone: the agent goes, the engine stays. */
  detach(): void {
    this.#stop.abort()
  }

  /** Ends the engine for good. Returns when nothing of it is left. */
  async end(): Promise<void> {
    this.#stopAsked = true
    this.#stop.abort()
    await this.#life
    const { disk, spec } = this.#deps
    const record = this.#record ?? disk.engine()
    if (record) await stopEngine(record, graceMsOf(record, spec), this.#traces)
    else await endStrays(this.#traces)
    disk.forgetEngine()
    this.#become('stopped')
  }

  async #live(): Promise<void> {
    if (this.#history.failure) {
      // An earlier life gave up; the control plane may not have heard of it.
      await endStrays(this.#traces)
      this.#giveUp(this.#history.failure)
      return
    }
    const unmade = await this.#install()
    if (unmade) return this.#giveUp(unmade)
    while (!this.#stop.signal.aborted) {
      const failure = await this.#oneRun()
      if (failure === null) return
      // The port was free when we looked; that somebody was quicker is nobody's fault and mends itself.
      if (failure.code === 'port_in_use' && this.#portRaces++ < mostPortRaces) continue
      const wait = restartAfterMs(
        { ...this.#history, maxRestarts: this.#deps.spec.maxRestarts, now: Date.now() },
        this.#deps.timing,
      )
      if (wait === null) return this.#giveUp(failure)
      this.#deps.log.say(`The engine ended (${this.#hide(failure.cause)}) and is started again in ${wait} ms.`)
      this.#become('starting')
      await pause(wait, this.#stop.signal)
      if (!this.#stop.signal.aborted) this.#countRestart()
    }
  }

  /** Not beside an engine that runs: then it was all there, and its environment must not be touched. */
  async #install(): Promise<JsonFailure | null> {
    const { install, spec, secrets, machine, disk, timing, log, events } = this.#deps
    const known = disk.engine()
    if (!install || (known && isRunning(known.pid, known.startTime))) return null
    const { what, places } = install
    const { onPhase, onInstallLine: onLine } = events
    const deps = { install: what, places, spec, secrets, machine, disk, timing, log, onPhase, onLine }
    return installAll(deps, this.#stop.signal)
  }

  /** From start or adoption to the end of the process. Null when it is us who stop. */
  async #oneRun(): Promise<JsonFailure | null> {
    try {
      const run = await this.#adoptOrStart()
      return run ? await this.#follow(run) : null
    } catch (error) {
      if (error instanceof StartError) return error.failure
      // An engine that cannot be recorded could not be ended after our own death.
      await endStrays(this.#traces)
      if (codeOf(error) === 'ENOSPC') return diskFullFailure(this.#deps.disk.dir)
      throw error
    }
  }

  async #adoptOrStart(): Promise<EngineRun | null> {
    const { disk, spec, machine, secrets, timing, log, events } = this.#deps
    const known = disk.engine()
    const adopted = known && adoptEngine(known, timing.adoptedPollMs, this.#stop.signal)
    if (adopted) {
      log.say(`The running engine was adopted (process ${adopted.record.pid}, port ${adopted.record.port}).`)
      this.#record = adopted.record
      return adopted
    }
    const strays = await endStrays(this.#traces)
    if (strays > 0) log.say(`Ended ${strays} processes that an earlier engine had left.`)
    if (this.#stop.signal.aborted) return null
    events.onPhase('engine_start', null)
    const run = await startEngine(
      spec,
      engineEnvironment(process.env, spec, secrets, machine),
      disk.dir,
      disk.engineLog,
    )
    this.#save(run.record)
    log.say(`The engine was started: ${commandNamed(spec)} (process ${run.record.pid}, port ${run.record.port}).`)
    return run
  }

  async #follow(run: EngineRun): Promise<JsonFailure | null> {
    const { disk, events, spec } = this.#deps
    const log = new EngineLog(disk.engineLog, run.record.logOffset, disk.logMark().offset, {
      onFinding: ({ phase, percent }) => {
        if (this.#state === 'starting') events.onPhase(phase, percent)
      },
      onLine: events.onLine,
      onRestart: () => {
        this.#save({ ...(this.#record ?? run.record), logOffset: 0 })
        events.onLogRestart()
      },
    })
    const over = new AbortController()
    const stopped = aborted(this.#stop.signal)
    const looking = this.#lookAtLog(log, over.signal)
    const judging = this.#judge(run, over.signal)
    try {
      const end = await Promise.race([run.exited, judging, stopped])
      if (end === null || this.#stop.signal.aborted) return null
      over.abort()
      if ('cause' in end) await stopEngine(run.record, graceMsOf(run.record, spec), this.#traces)
      await looking
      while (!log.look()) await pause(0)
      await endLeftovers(run.record, this.#traces)
      this.#hung = null
      disk.forgetEngine()
      this.#record = null
      return 'cause' in end ? end : exitFailure(end, log)
    } finally {
      over.abort()
      await looking
      log.close()
    }
  }

  async #lookAtLog(log: EngineLog, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const all = log.look()
      this.#version ??= log.reader.result().version
      await pause(all ? this.#deps.timing.logPollMs * (this.#state === 'starting' ? 1 : 2) : 1, over)
    }
  }

  /** Readiness, then watching. Resolves only with a reason to end the run. */
  async #judge(run: EngineRun, over: AbortSignal): Promise<JsonFailure> {
    const { spec, timing } = this.#deps
    const target = { port: run.record.port, healthPath: spec.healthPath, servedName: spec.servedName }
    // An engine that proved itself in the agent's earlier life serves from the first moment of this one.
    const verified = run.record.answeredAt === null ? await this.#verify(target, over) : { kind: 'answered' as const }
    if (verified.kind === 'unlisted') return unlistedFailure(spec.servedName, verified.names)
    // It may have died right after its answer; then there is no record to keep.
    if (verified.kind === 'answered' && !over.aborted) this.#answered(run.record)
    this.#version ??= await engineVersion(target.port, timing.healthTimeoutMs)
    for (let goodAt = performance.now(); !over.aborted; await pause(timing.healthPollMs, over)) {
      if (await isHealthy(target, timing.healthTimeoutMs)) goodAt = performance.now()
      this.#setHung(performance.now() - goodAt, over)
    }
    return new Promise(() => undefined)
  }

  #verify(target: VerifyTarget, over: AbortSignal): Promise<Verified> {
    const { timing, log, events } = this.#deps
    const steps = {
      onHealthy: () => events.onPhase('verifying', null),
      onHindrance: (why: string) => log.sayOnce('verify', `The engine is healthy but not ready: ${why}.`),
    }
    return untilAnswered(target, timing, steps, over)
  }

  /** Told again after a restart of the agent, as nobody knows whether it was heard the first time. */
  #answered(record: EngineRecord): void {
    const now = Date.now()
    const answeredAt = record.answeredAt ?? now
    this.#save({ ...(this.#record ?? record), answeredAt })
    if (!this.#history.everServed) this.#saveHistory({ everServed: true })
    this.#become('serving')
    this.#deps.events.onAnswered(Math.max(0, now - answeredAt))
  }

  /** A hung engine is told of and not killed: it may come back, and what happens to the node is not ours to decide. */
  #setHung(silentMs: number, over: AbortSignal): void {
    const hung = silentMs >= this.#deps.timing.hungAfterMs
    if (over.aborted || hung === (this.#hung !== null)) return
    this.#hung = hung ? hungFailure(this.#deps.spec.healthPath, silentMs) : null
    this.#deps.log.say(
      hung ? 'The engine no longer answers its health check.' : 'The engine answers its health check again.',
    )
    this.#deps.events.onChange()
  }

  #giveUp(found: JsonFailure): void {
    const failure = hiddenIn(this.#hide, found)
    this.#saveHistory({ failure })
    this.#become('failed')
    this.#deps.log.say(`The engine has failed: ${failure.cause}`)
    this.#deps.events.onFailure(failure)
  }

  #countRestart(): void {
    const { restarts, recentRestarts } = this.#history
    const now = Date.now()
    const recent = [...stillCounting(recentRestarts, now, this.#deps.timing), now]
    this.#saveHistory({ restarts: restarts + 1, recentRestarts: recent })
  }

  #save(record: EngineRecord): void {
    this.#record = record
    this.#deps.disk.saveEngine(record, this.#deps.spec)
  }

  #saveHistory(change: Partial<EngineHistory>): void {
    this.#history = { ...this.#history, ...change }
    this.#deps.disk.saveHistory(this.#history)
  }

  #become(state: EngineState['state']): void {
    if (this.#state === state) return
    this.#state = this.#stopAsked ? 'stopped' : state
    this.#deps.events.onChange()
  }
}

/** Resolves when the signal aborts, and at once when it already has: then it calls no listener any more. */
function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null)
    else signal.addEventListener('abort', () => resolve(null), { once: true })
  })
}
