import { spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { pause } from './clock.ts'
import { isDead, parseStat } from './proc-stat.ts'

export interface KeptProcessOptions {
  readonly command: readonly [string, ...string[]]
  readonly env: Record<string, string>
  /** What it was told, as far as a process that was told otherwise must not be adopted: it is ended and started anew. */
  readonly purpose: string
  /** Remembers the process across our own death: pid and start time. */
  readonly recordFile: string
  /** One that is told to end and has not by then is killed. */
  readonly graceMs: number
  readonly onStart: (pid: number, adopted: boolean) => void
  readonly onEnd: (pid: number) => void
}

export interface ProcessRecord {
  readonly pid: number
  readonly startedTicks: string
  readonly purpose?: string
}

const pollMs = 500
const firstRestartMs = 200
const maxRestartMs = 10_000

/** Keeps one process running: adopts the one that outlived us, starts it otherwise, and starts it again when it ends. */
export function keepProcess(options: KeptProcessOptions): { stop(): Promise<void> } {
  const { graceMs } = options
  const stopping = new AbortController()
  let current: ProcessRecord | null = null

  async function run(): Promise<void> {
    let restartMs = firstRestartMs
    while (!stopping.signal.aborted) {
      const left = keptProcess(options.recordFile)
      const adopted = left?.purpose === options.purpose ? left : null
      if (left && !adopted) await end(left, graceMs)
      current = adopted ?? start(options)
      const began = performance.now()
      options.onStart(current.pid, adopted !== null)
      while (isAlive(current) && !stopping.signal.aborted) await pause(pollMs, stopping.signal)
      if (stopping.signal.aborted) return
      options.onEnd(current.pid)
      restartMs = performance.now() - began > maxRestartMs ? firstRestartMs : Math.min(maxRestartMs, restartMs * 2)
      await pause(restartMs, stopping.signal)
    }
  }

  const done = run()
  return {
    async stop() {
      stopping.abort()
      await done
      if (current) await end(current, graceMs)
      rmSync(options.recordFile, { force: true })
    },
  }
}

/** Told to end, and killed where it does not listen: whoever waits for this holds a data folder and a port. */
async function end(record: ProcessRecord, graceMs: number): Promise<void> {
  tell(record, 'SIGTERM')
  for (const told = performance.now(); isAlive(record) && performance.now() - told < graceMs; ) await pause(50)
  tell(record, 'SIGKILL')
  while (isAlive(record)) await pause(50)
}

function tell(record: ProcessRecord, signal: NodeJS.Signals): void {
  if (isAlive(record)) process.kill(record.pid, signal)
}

function start({ command, env, recordFile, purpose }: KeptProcessOptions): ProcessRecord {
  const [program, ...args] = command
  // Detached, so that a terminal's Ctrl-C reaches only us: we decide in which order things end.
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'ignore', 'inherit'], env })
  child.on('error', () => undefined)
  child.unref()
  const record = { pid: child.pid ?? -1, startedTicks: startTicks(child.pid ?? -1) ?? '', purpose }
  writeFileSync(recordFile, JSON.stringify(record), { mode: 0o600 })
  return record
}

/** The process that an earlier life of ours has left running, if any. */
export function keptProcess(file: string): ProcessRecord | null {
  try {
    const record = JSON.parse(readFileSync(file, 'utf8')) as ProcessRecord
    return isAlive(record) ? record : null
  } catch {
    // No record, or half of one: nothing to adopt.
    return null
  }
}

/** The pid alone may by now belong to a stranger; pid and start time together do not. */
function isAlive({ pid, startedTicks }: ProcessRecord): boolean {
  return startedTicks !== '' && startTicks(pid) === startedTicks
}

function startTicks(pid: number): string | null {
  try {
    const stat = parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))
    return !stat || isDead(stat) ? null : stat.startTime
  } catch {
    return null
  }
}
