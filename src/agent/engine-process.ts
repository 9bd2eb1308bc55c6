import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync } from 'node:fs'
import { createServer } from 'node:net'
import { firstHeldGpuFd, heldGpus } from '../core/held-gpus.ts'
import { pause } from '../lib/clock.ts'
import { codeOf } from '../lib/error-code.ts'
import type { EngineSpec } from '../wire/agent.ts'
import type { EngineRecord, JsonFailure } from './node-disk.ts'
import { groupMembers, isRunning, processesPrintingTo, processesWith, readStat, signal } from './proc.ts'

/** How a run ended; both null for an adopted engine, whose exit only its parent could have seen. */
export interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

export interface EngineRun {
  readonly record: EngineRecord
  readonly exited: Promise<Exit>
}

export class StartError extends Error {
  readonly failure: JsonFailure

  constructor(failure: JsonFailure) {
    super(failure.cause)
    this.failure = failure
  }
}

export type Environment = Readonly<Record<string, string | undefined>>

const passedOn = new Set(['PATH', 'HOME', 'LANG', 'TMPDIR', 'LD_LIBRARY_PATH', 'FLIGHTDECK_SIM'])
const engineMark = 'FLIGHTDECK_ENGINE=1'

/** Only what an engine needs: nothing that lets it speak as the agent. The two marks let it be found in /proc. */
export function engineEnvironment(
  own: Environment,
  spec: EngineSpec,
  secrets: Readonly<Record<string, string>>,
  machine: string,
): Record<string, string> {
  const inherited = Object.entries(own).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (passedOn.has(entry[0]) || /^(CUDA|NVIDIA)_/.test(entry[0])),
  )
  const asked = Object.entries({ ...spec.env, ...secrets }).filter(
    ([name]) => !name.startsWith('FLIGHTDECK_') || passedOn.has(name),
  )
  return { ...Object.fromEntries([...inherited, ...asked]), FLIGHTDECK_MACHINE: machine, FLIGHTDECK_ENGINE: '1' }
}

/** A port that was free a moment ago. Somebody else may take it before the engine does; the engine then says so. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/** @throws StartError where the command cannot be run at all. */
export async function startEngine(
  spec: EngineSpec,
  env: Record<string, string>,
  dir: string,
  logPath: string,
): Promise<EngineRun> {
  const port = await freePort()
  const [command = '', ...args] = spec.argv.map((word) => word.replaceAll('{port}', String(port)))
  const log = openSync(logPath, 'a', 0o600)
  const logOffset = fstatSync(log).size
  // A session of its own, and a file for its output: it does not notice when the agent dies.
  const stdio = ['ignore' as const, log, log, ...gpuFds()]
  const child = spawn(command, args, { cwd: dir, env, detached: true, stdio })
  closeSync(log)
  const { pid } = child
  if (pid === undefined) throw new StartError(await spawnFailure(child, command, env))
  const startTime = readStat(pid)?.startTime ?? ''
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, name) => resolve({ code, signal: name }))
  })
  child.unref()
  return { record: { pid, group: pid, startTime, port, startedAt: Date.now(), logOffset, answeredAt: null }, exited }
}

/** An engine that outlives us and our loop goes on holding its GPUs. */
const gpuFds = (): number[] =>
  heldGpus(process.env)
    .map((_, i) => firstHeldGpuFd + i)
    .filter(isSocket)

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    // We were started by hand, with the environment alone.
    return false
  }
}

function spawnFailure(child: ChildProcess, command: string, env: Record<string, string>): Promise<JsonFailure> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(explainSpawn(codeOf(error), command, env['PATH'] ?? '')))
  })
}

export function explainSpawn(code: string, command: string, path: string): JsonFailure {
  const where = command.includes('/') ? 'is not there' : `is in no folder of PATH (${path})`
  const cause =
    code === 'ENOENT' ? `The command "${command}" ${where}.` : `The command "${command}" cannot be run (${code}).`
  const remedy = 'Correct the command of the engine in the configuration, or install it on the machine first.'
  return { code: 'command_not_found', fault: 'policy', retry: 'not_here', cause, remedy }
}

/** The engine of the agent's earlier life, if it still runs; its end is seen by looking, as it is nobody's child now. */
export function adoptEngine(record: EngineRecord, pollMs: number, stop: AbortSignal): EngineRun | null {
  if (!isRunning(record.pid, record.startTime)) return null
  const watch = async (): Promise<Exit> => {
    while (isRunning(record.pid, record.startTime)) {
      if (stop.aborted) return new Promise(() => undefined)
      await pause(pollMs, stop)
    }
    return { code: null, signal: null }
  }
  return { record, exited: watch() }
}

/** What processes of an engine are told by: the machine in their environment, and the file that takes their output. */
export interface EngineTraces {
  readonly machine: string
  readonly logPath: string
}

/** Two traces, because a program that sets its title may write over its environment, as vLLM's core does. */
function engineProcesses({ machine, logPath }: EngineTraces): number[] {
  return [
    ...new Set([...processesWith([`FLIGHTDECK_MACHINE=${machine}`, engineMark]), ...processesPrintingTo(logPath)]),
  ]
}

/**
 * Ends everything that is left of engines on this machine: workers whose leader is dead and hold its GPU memory, or an
 * engine that was started just before the agent died and was never recorded.
 */
export async function endStrays(traces: EngineTraces): Promise<number> {
  const strays = engineProcesses(traces)
  for (const pid of strays) signal(pid, 'SIGKILL')
  await untilGone(() => engineProcesses(traces), 5_000)
  return strays.length
}

/** After a leader's end: its group cannot belong to another while a member lives, so this is safe right then only. */
export async function endLeftovers(record: EngineRecord, traces: EngineTraces): Promise<void> {
  if (groupMembers(record.group).length > 0) signal(-record.group, 'SIGKILL')
  await endStrays(traces)
}

/** SIGTERM to the whole group, SIGKILL when the grace is over, and then whatever left the group. */
export async function stopEngine(record: EngineRecord, graceMs: number, traces: EngineTraces): Promise<void> {
  // A group whose leader is gone may be another's by now; the strays below are told by their traces.
  if (isRunning(record.pid, record.startTime)) {
    signal(-record.group, 'SIGTERM')
    await untilGone(() => groupMembers(record.group), graceMs)
    signal(-record.group, 'SIGKILL')
  }
  await endStrays(traces)
}

export async function untilGone(members: () => number[], limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs
  while (members().length > 0 && performance.now() < deadline) await pause(50)
}
