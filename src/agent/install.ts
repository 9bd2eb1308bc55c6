import { appendFileSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { failureRecord } from '../core/failure.ts'
import { explainStage, type StageFailure, whyNoRoom } from '../core/install-failures.ts'
import { phaseOfStage, type Stage } from '../core/stage.ts'
import { pause } from '../lib/clock.ts'
import { codeOf } from '../lib/error-code.ts'
import type { EngineSpec, Installation } from '../wire/agent.ts'
import { EngineLog } from './engine-log.ts'
import type { Exit } from './engine-process.ts'
import { endInstallers, FolderLock, isThere, stageEnvironment, startCommand } from './install-command.ts'
import { bytesBelow, freeMibAt, type Measured, Meter, type Size } from './install-meter.ts'
import { fill, Marks, type Places } from './install-places.ts'
import type { JsonFailure, NodeDisk } from './node-disk.ts'
import { backOff } from './orders.ts'
import type { OwnLog } from './own-log.ts'
import type { Timing } from './timing.ts'

export interface InstallDeps {
  readonly install: Installation
  readonly places: Places
  readonly spec: EngineSpec
  readonly secrets: Readonly<Record<string, string>>
  readonly machine: string
  readonly disk: NodeDisk
  readonly timing: Timing
  readonly log: OwnLog
  readonly onPhase: (phase: string, percent: number | null, size: Size | null) => void
  /** A line that a command printed. */
  readonly onLine: (text: string) => void
}

/**
 * Puts on the machine what its engine needs, stage by stage, and tells of each as a phase. What is there already is
 * passed over. Null: all of it is there, or `stop` came first; then nothing of it runs any more.
 */
export async function installAll(deps: InstallDeps, stop: AbortSignal): Promise<JsonFailure | null> {
  const left = await endInstallers(deps.machine)
  if (left > 0) deps.log.say(`Ended ${left} processes of an installation that was interrupted; it is made good now.`)
  try {
    return await new Installer(deps, stop).run()
  } finally {
    await endInstallers(deps.machine)
  }
}

class Installer {
  readonly #deps: InstallDeps
  readonly #stop: AbortSignal
  readonly #marks: Marks
  /** Of what leaves no mark because it is looked at each time. */
  readonly #lookedAt = new Set<Stage>()
  readonly #roomSeen = new WeakSet<Meter>()

  constructor(deps: InstallDeps, stop: AbortSignal) {
    this.#deps = deps
    this.#stop = stop
    this.#marks = new Marks(deps.places)
  }

  async run(): Promise<JsonFailure | null> {
    const { stages } = this.#deps.install
    const ofEnv = stages.filter(({ keeps }) => keeps === 'env')
    try {
      mkdirSync(this.#deps.places.folder, { recursive: true, mode: 0o755 })
      let failure = await this.#alone(ofEnv, `${this.#deps.places.env}.lock`)
      for (const stage of stages.filter(({ keeps }) => keeps !== 'env')) {
        if (failure || this.#stop.aborted) break
        failure = await (stage.keeps ? this.#alone([stage], this.#marks.lockOf(stage)) : this.#each([stage], null))
      }
      return failure
    } catch (error) {
      // The folder itself may be where we must not write, or on a disk that is full.
      const stage = this.#missing(stages) ?? stages[0]
      if (!stage || codeOf(error) === '') throw error
      return (await this.#explain(stage, { code: null, signal: null }, String(error), null)).record
    }
  }

  /** Other nodes of this host may need the same: whoever holds the lock makes it, the others wait for it. */
  async #alone(stages: readonly Stage[], lockPath: string): Promise<JsonFailure | null> {
    const [first] = stages.filter((stage) => !this.#isDone(stage))
    if (!first) return null
    const { places, timing, log } = this.#deps
    const lock = new FolderLock(lockPath)
    try {
      const limitMs = 1_000 * stages.reduce((sum, { limitS }) => sum + limitS, 0)
      const taken = await lock.take({ pollMs: timing.installPollMs, limitMs }, this.#stop, () => {
        this.#phase(first, { percent: null, size: null })
        log.sayOnce('install', `Another node is installing into ${places.folder}; waiting for it.`)
      })
      if (taken === 'stopped') return null
      if (taken === 'late')
        return failureRecord('install_timeout', `Another node was still installing into ${places.folder}.`)
      return (await this.#noRoomFor(stages)) ?? (await this.#each(stages, lock.file))
    } finally {
      lock.close()
    }
  }

  async #noRoomFor(stages: readonly Stage[]): Promise<JsonFailure | null> {
    const missing = stages.filter((stage) => !this.#isDone(stage))
    // What lies in a cache of packages already is linked from there, and takes no room again.
    const cached = ({ keeps }: Stage, env: Record<string, string>) =>
      keeps === 'env' && existsSync(env['UV_CACHE_DIR'] ?? '')
    if (missing.some((stage) => cached(stage, this.#environmentOf(stage)))) return null
    const needs = missing.reduce((sum, { needsMib }) => sum + needsMib, 0)
    const title = missing.map((stage) => stage.title).join(', ')
    return whyNoRoom({ title }, needs, await freeMibAt(this.#deps.places.folder))
  }

  /** Carries out what is missing, in order; null once nothing is, or when told to stop. */
  async #each(stages: readonly Stage[], lock: number | null): Promise<JsonFailure | null> {
    const failures = new Map<Stage, number>()
    for (let stage = this.#missing(stages); stage && !this.#stop.aborted; stage = this.#missing(stages)) {
      if (stage.keeps === 'env' && this.#marks.isHalfDone(stage)) {
        this.#deps.log.say(`A half made environment is made anew (${stage.title}).`)
        this.#marks.forgetEnv()
        continue
      }
      const failure = await this.#once(stage, lock)
      if (failure === null || this.#stop.aborted) continue
      const failed = (failures.get(stage) ?? 0) + 1
      failures.set(stage, failed)
      if (failed >= mostTries(stage, failure)) return failure.record
      const { installBackOffMs, maxInstallBackOffMs } = this.#deps.timing
      const waitMs = backOff(failed, installBackOffMs, maxInstallBackOffMs)
      this.#deps.log.say(`${failure.record.cause} It is tried again in ${Math.ceil(waitMs / 1_000)} s.`)
      await pause(waitMs, this.#stop)
    }
    return null
  }

  #missing(stages: readonly Stage[]): Stage | undefined {
    return stages.find((stage) => !this.#isDone(stage))
  }

  #isDone(stage: Stage): boolean {
    return this.#marks.isDone(stage) || this.#lookedAt.has(stage)
  }

  #phase({ name }: Stage, { percent, size }: Measured): void {
    this.#deps.onPhase(phaseOfStage[name], percent, size)
  }

  #environmentOf(stage: Stage): Record<string, string> {
    const { spec, secrets, machine, places } = this.#deps
    return stageEnvironment(stage, { own: process.env, engineEnv: spec.env, secrets, machine, places })
  }

  async #once(stage: Stage, lock: number | null): Promise<StageFailure | null> {
    const { places, log } = this.#deps
    this.#phase(stage, { percent: null, size: null })
    if (stage.exists !== null) return this.#look(stage, fill(stage.exists, places))
    const env = this.#environmentOf(stage)
    const way = stage.ways.find(({ program }) => isThere(fill(program, places), env['PATH'] ?? ''))
    if (!way) return { record: nothingToRun(stage), tries: 'once' }
    log.say(`Installing: ${stage.title}.`)
    this.#marks.begin(stage)
    for (const [path, text] of Object.entries(stage.files)) writeFileSync(fill(path, places), text)
    const measures = stage.measures.map((path) => fill(path, places))
    // A model that was fetched in part is part of the whole; of packages only what is new counts.
    const before = stage.keeps === 'env' ? ((await bytesBelow(measures)) ?? 0) : 0
    const meter = new Meter(performance.now())
    const running: Running = {
      stage,
      env,
      lock,
      meter,
      measures,
      before,
      endsAt: performance.now() + stage.limitS * 1_000,
    }
    for (const words of way.commands) {
      const failure = await this.#command(
        words.map((word) => fill(word, places)),
        running,
      )
      if (failure !== null || this.#stop.aborted) return failure
    }
    const after = await bytesBelow(measures)
    const total = meter.total((after ?? before) - before, performance.now())
    this.#marks.done(stage)
    if (stage.keeps === null) this.#lookedAt.add(stage)
    this.#phase(stage, total)
    log.say(`Done: ${stage.title}, ${sizeWords(total.size)}.`)
    return null
  }

  #look(stage: Stage, path: string): StageFailure | null {
    if (existsSync(path)) {
      this.#lookedAt.add(stage)
      return null
    }
    const remedy = 'Correct the `source` of the model, or put its files there; in a container, mount them.'
    return {
      record: failureRecord('model_not_found', `There is no ${path} on the machine.`, { remedy }),
      tries: 'once',
    }
  }

  async #command(words: readonly string[], running: Running): Promise<StageFailure | null> {
    const { disk, timing, onLine } = this.#deps
    const { stage, env, lock, meter, endsAt } = running
    const path = disk.path('install.log')
    appendFileSync(path, `$ ${words.map((word) => word.split('\n')[0]).join(' ')}\n`, { mode: 0o600 })
    const from = statSync(path).size
    const heard = (text: string) => {
      meter.line(text)
      onLine(text)
    }
    const log = new EngineLog(path, from, from, { onFinding: nothing, onLine: heard, onRestart: nothing })
    const over = new AbortController()
    const run = await startCommand(words, { dir: disk.dir, log: path, env, lock })
    void run.exited.then(() => over.abort())
    const measuring = this.#measure(running, over.signal)
    try {
      let noRoom: StageFailure | null = null
      while (!over.signal.aborted && !this.#stop.aborted && !noRoom && performance.now() < endsAt) {
        log.look()
        noRoom = await this.#noRoomForExpected(running)
        await pause(timing.logPollMs, over.signal)
      }
      const ended = over.signal.aborted
      if (!ended) await run.end()
      const exit = await run.exited
      while (!log.look()) await pause(0)
      await endInstallers(this.#deps.machine)
      if (this.#stop.aborted || (ended && exit.code === 0)) return null
      if (noRoom) return noRoom
      return ended ? await this.#explain(stage, exit, log.tail(8_000), meter) : tooLate(stage, meter, log.tail(8_000))
    } finally {
      over.abort()
      await measuring
      log.close()
    }
  }

  /** Once, as soon as the command has said how much it will fetch. */
  async #noRoomForExpected({ stage, meter, before }: Running): Promise<StageFailure | null> {
    if (meter.expected === null || this.#roomSeen.has(meter)) return null
    this.#roomSeen.add(meter)
    const there = meter.read().size?.bytes ?? before
    const record = whyNoRoom(stage, (meter.expected - there) / mib, await freeMibAt(this.#deps.places.folder))
    return record && { record, tries: 'once' }
  }

  async #measure(running: Running, over: AbortSignal): Promise<void> {
    const { stage, meter, measures, before } = running
    while (!over.aborted) {
      const began = performance.now()
      const bytes = await bytesBelow(measures)
      if (over.aborted) return
      if (bytes !== null) meter.sample(bytes - before, performance.now())
      this.#phase(stage, meter.read())
      // Counting 60,000 files takes its time, too: a fifth of it at most.
      await pause(Math.max(this.#deps.timing.installPollMs, 4 * (performance.now() - began)), over)
    }
  }

  async #explain(stage: Stage, exit: Exit, output: string, meter: Meter | null): Promise<StageFailure> {
    const freeMib = await freeMibAt(this.#deps.places.folder).catch(() => null)
    const expectedMib = meter?.expected ? meter.expected / mib : null
    return explainStage({ stage, ...exit, output, freeMib, expectedMib })
  }
}

interface Running {
  readonly stage: Stage
  readonly env: Record<string, string>
  readonly lock: number | null
  readonly meter: Meter
  readonly measures: readonly string[]
  readonly before: number
  readonly endsAt: number
}

const mib = 1024 * 1024
const nothing = () => undefined

const mostTries = (stage: Stage, { tries }: StageFailure): number =>
  ({ once: 1, twice: Math.min(2, stage.tries), often: stage.tries })[tries]

function nothingToRun(stage: Stage): JsonFailure {
  const programs = stage.ways.map(({ program }) => program.split('/').at(-1)).join(' nor ')
  const cause = `The machine has neither ${programs}, which is needed for: ${stage.title}.`
  return failureRecord(stage.name === 'python' ? 'no_python' : 'install_failed', cause)
}

function tooLate(stage: Stage, meter: Meter, evidence: string): StageFailure {
  const { size } = meter.read()
  const so = size ? `, and had put ${sizeWords(meter.total(size.bytes, performance.now()).size)}` : ''
  const cause = `It was not done within ${Math.round(stage.limitS)} s: ${stage.title}${so}.`
  return { record: failureRecord('install_timeout', cause, { evidence }), tries: 'once' }
}

const sizeWords = (size: Size | null): string =>
  size
    ? `${(size.bytes / 1e6).toFixed(size.bytes < 1e8 ? 1 : 0)} MB on the disk at ${(size.bytesPerS / 1e6).toFixed(1)} MB/s`
    : ''
