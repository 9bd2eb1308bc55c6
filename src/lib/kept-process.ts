import { spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { pause } from './clock.ts'

export interface KeptProcessOptions {
  readonly command: readonly [string, ...string[]]
  readonly env: Record<string, string>
  /** Remembers the process across our own death: pid and start time. */
  readonly recordFile: string
  readonly onStart: (pid: number, adopted: boolean) => void
  readonly onEnd: (pid: number) => void
}

interface ProcessRecord {
  readonly pid: number
  readonly startedTicks: string
}

const pollMs = 500
const firstRestartMs = 200
const maxRestartMs = 10_000

/** Keeps one process running: adopts the one that outlived us, starts it otherwise, and starts it again when it ends. */
export function keepProcess(options: KeptProcessOptions): { stop(signal?: NodeJS.Signals): Promise<void> } {
  const stopping = new AbortController()
  let current: ProcessRecord | null = null

  async function run(): Promise<void> {
    let restartMs = firstRestartMs
    while (!stopping.signal.aborted) {
      const adopted = readRecord(options.recordFile)
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
    async stop(signal = 'SIGTERM') {
      stopping.abort()
      await done
      if (!current || !isAlive(current)) return
      process.kill(current.pid, signal)
      while (isAlive(current)) await pause(50)
      rmSync(options.recordFile, { force: true })
    },
  }
}

function start({ command, env, recordFile }: KeptProcessOptions): ProcessRecord {
  const [program, ...args] = command
  // Detached, so that a terminal's Ctrl-C reaches only us: we decide in which order things end.
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'ignore', 'inherit'], env })
  child.on('error', () => undefined)
  child.unref()
  const record = { pid: child.pid ?? -1, startedTicks: startTicks(child.pid ?? -1) ?? '' }
  writeFileSync(recordFile, JSON.stringify(record), { mode: 0o600 })
  return record
}

function readRecord(file: string): ProcessRecord | null {
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
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? null : (fields[19] ?? null)
  } catch {
    return null
  }
}
