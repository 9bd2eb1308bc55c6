import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { failureRecord } from '../core/failure.ts'
import { projectRoot } from './connection.ts'
import { CliFailure, exitCodes } from './exit.ts'
import { quietPause } from './live-feed.ts'

export type DemoEngine = 'sim' | 'vllm'

/** So that the account at the end is not full of zeros: about what an H100 costs by the hour. */
export const demoPriceUsd = 2.49

// Slow enough to be watched, fast enough to be waited for.
const simulation = { startupMs: 6_000, ttftMs: 150, tokensPerS: 40, replyTokens: 60 }

export const vllmFolder = (env: NodeJS.ProcessEnv = process.env): string =>
  join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'flightdeck', 'vllm-cpu')

/** The configuration of the demo's control plane; ports are chosen by the system. */
export function demoConfig(engine: DemoEngine): { model: string; config: object } {
  const engines = {
    sim: { env: { FLIGHTDECK_SIM: JSON.stringify(simulation) } },
    vllm: { command: [join(vllmFolder(), 'serve')] },
  }
  const model = engine === 'sim' ? 'demo-sim' : 'tiny'
  const config = {
    listen: { port: 0 },
    gateway: { port: 0 },
    local: { pricePerHourUsd: demoPriceUsd, maxMachines: 1, engines: { [engine]: engines[engine] } },
    models: [{ name: model, engine, source: model, description: `The model of the demo, on the engine ${engine}.` }],
  }
  return { model, config }
}

export interface ControlPlane {
  readonly url: string
  readonly gatewayUrl: string
  readonly adminToken: string
  readonly install: string
}

export interface World {
  readonly folder: string
  readonly logFile: string
  /** Aborts, with a CliFailure as its reason, when the control plane ends without having been told to. */
  readonly died: AbortSignal
  start(): Promise<ControlPlane>
  /** To the control plane alone: its gateway, its database and its machines are other processes. */
  signal(name: NodeJS.Signals): void
  /** Ends what was started; resolves to what still ran afterwards and had to be ended one by one. */
  stop(install: string | null): Promise<number[]>
  remove(): void
}

const startLimitMs = 90_000
const stopLimitMs = 30_000

/** A control plane of its own in a fresh folder, as real processes. */
export function makeWorld(config: object, signal: AbortSignal, purpose = 'demo'): World {
  const folder = mkdtempSync(join(tmpdir(), `flightdeck-${purpose}-`))
  const logFile = join(folder, 'control.log')
  const configFile = join(folder, 'config.json')
  writeFileSync(configFile, JSON.stringify(config, null, 2))
  const died = new AbortController()
  let child: ChildProcess | null = null
  let stopping = false

  async function start(): Promise<ControlPlane> {
    const words = ['up', '--data', join(folder, 'data'), '--config', configFile, '--port', '0', '--gateway-port', '0']
    child = spawn(process.execPath, [join(projectRoot, 'src/main/cli.ts'), ...words, '--json'], {
      // A group of its own: Ctrl-C ends the demo, and the demo ends this in order.
      detached: true,
      env: ownEnvironment(process.env),
      stdio: ['ignore', 'pipe', openSync(logFile, 'a', 0o600)],
    })
    child.once('exit', (code) => {
      if (!stopping) died.abort(notRunning(`The control plane ended by itself, with code ${code}.`, logFile))
    })
    return readyLine(child, logFile, AbortSignal.any([signal, died.signal]))
  }

  async function stop(install: string | null): Promise<number[]> {
    stopping = true
    if (child && isRunning(child)) {
      child.kill('SIGTERM')
      await ended(child, stopLimitMs)
    }
    return endMarked([folder, ...(install === null ? [] : [machineMark(install)])])
  }

  return {
    folder,
    logFile,
    died: died.signal,
    start,
    signal: (name) => void child?.kill(name),
    stop,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** The caller's own control plane and database must not leak into the demo's. */
function ownEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const foreign = (name: string) => name.startsWith('FLIGHTDECK_') || name === 'DATABASE_URL'
  return Object.fromEntries(Object.entries(env).filter(([name]) => !foreign(name)))
}

const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null

function ended(child: ChildProcess, limitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      resolve()
    }, limitMs)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

function readyLine(child: ChildProcess, logFile: string, signal: AbortSignal): Promise<ControlPlane> {
  return new Promise((resolve, reject) => {
    const late = () => reject(notRunning(`The control plane was not ready within ${startLimitMs / 1_000} s.`, logFile))
    const timer = setTimeout(late, startLimitMs)
    const settle = (end: () => void) => () => {
      clearTimeout(timer)
      end()
    }
    signal.addEventListener(
      'abort',
      settle(() => reject(signal.reason)),
      { once: true },
    )
    child.once('error', (error) => settle(() => reject(notRunning(error.message, logFile)))())
    if (!child.stdout) return reject(notRunning('The control plane has no standard output.', logFile))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const told = JSON.parse(line) as ControlPlane & { event: string }
      if (told.event === 'ready') settle(() => resolve(told))()
    })
  })
}

function notRunning(cause: string, logFile: string): CliFailure {
  const evidence = readFileSync(logFile, 'utf8').trim().split('\n').slice(-12).join('\n')
  const remedy = 'Read what it said last, above.'
  return new CliFailure(failureRecord('internal', cause, { remedy, evidence }), exitCodes.failed)
}

/** In the environment of every process of every machine of an install. */
export const machineMark = (install: string): string => `FLIGHTDECK_MACHINE=fd-${install}-`

/** Processes that carry one of the marks in their command or their environment; what the demo starts, all does. */
export function markedProcesses(marks: readonly string[]): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((entry) => {
      const about = aboutProcess(entry)
      return marks.some((mark) => about.includes(mark))
    })
    .map(Number)
}

function aboutProcess(pid: string): string {
  try {
    return ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1')).join('\0')
  } catch {
    // It ended while we looked, or it is another user's: then it is none of ours.
    return ''
  }
}

const askLimitMs = 15_000
const killLimitMs = 5_000

/** Ends what still carries a mark: first by asking, then by force. Resolves to what had to be ended. */
async function endMarked(marks: readonly string[]): Promise<number[]> {
  const left = markedProcesses(marks)
  const never = new AbortController().signal
  for (const [name, limitMs] of [
    ['SIGTERM', askLimitMs],
    ['SIGKILL', killLimitMs],
  ] as const) {
    for (const from = performance.now(); performance.now() - from < limitMs; await quietPause(200, never)) {
      const still = markedProcesses(marks)
      if (still.length === 0) return left
      // Asked again each time: a loop may have started another process since.
      for (const pid of still) signalProcess(pid, name)
    }
  }
  return left
}

export function signalProcess(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** Tries until something comes, and says what was waited for when it does not. */
export async function until<T>(
  what: string,
  limitMs: number,
  signal: AbortSignal,
  look: () => Promise<T | null>,
): Promise<T> {
  for (const from = performance.now(); performance.now() - from < limitMs; await quietPause(200, signal)) {
    signal.throwIfAborted()
    const found = await look()
    if (found !== null) return found
  }
  const cause = `${what} did not happen within ${limitMs / 1_000} s.`
  throw new CliFailure(failureRecord('internal', cause), exitCodes.timedOut)
}

/** Installs the real vLLM; its own progress goes to the screen line by line. */
export function installVllm(tell: (line: string) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(projectRoot, 'rig/vllm-cpu/up'), [vllmFolder()], {
      // A group of its own, so that an interrupted download ends with the script that started it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const giveUp = () => child.pid && signalProcess(-child.pid, 'SIGTERM')
    signal.addEventListener('abort', giveUp)
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', tell)
    child.once('error', reject)
    child.once('close', (code) => {
      signal.removeEventListener('abort', giveUp)
      if (signal.aborted) return reject(signal.reason)
      if (code === 0) return resolve()
      const record = failureRecord('command_not_found', `vLLM could not be installed (code ${code}).`, {
        remedy: 'Read the lines above; Linux, Python 3.10, 8 GB of disk and a package registry are needed.',
      })
      reject(new CliFailure(record, exitCodes.failed))
    })
  })
}
