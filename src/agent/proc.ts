import { readdirSync, readFileSync } from 'node:fs'

/** One line of /proc/PID/stat, as far as it is needed. `startTime` is in ticks since boot: with the pid it names a process for good. */
export interface ProcStat {
  readonly pid: number
  readonly state: string
  readonly parent: number
  readonly group: number
  readonly startTime: string
}

/** Null when there is no such process. */
export function readStat(pid: number): ProcStat | null {
  const text = readProc(`/proc/${pid}/stat`)
  if (text === null) return null
  // The command's name stands in brackets and may hold spaces and brackets itself; the last one closes it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, parent, group, startTime] = [fields[0], fields[1], fields[2], fields[19]]
  if (state === undefined || startTime === undefined) return null
  return { pid, state, parent: Number(parent), group: Number(group), startTime }
}

/** The very process that was started then, and not a zombie that nobody has reaped yet. */
export function isRunning(pid: number, startTime: string): boolean {
  const stat = readStat(pid)
  return stat !== null && stat.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X'
}

/** Processes whose environment holds every one of these `NAME=value` words, apart from ourselves. */
export function processesWith(words: readonly string[]): number[] {
  return allPids().filter((pid) => {
    if (pid === process.pid) return false
    const environment = readProc(`/proc/${pid}/environ`)
    if (environment === null) return false
    const have = new Set(environment.split('\0'))
    return words.every((word) => have.has(word))
  })
}

/** Living members of a process group. */
export function groupMembers(group: number): number[] {
  return allPids().filter((pid) => {
    const stat = readStat(pid)
    return stat !== null && stat.group === group && stat.state !== 'Z' && stat.state !== 'X'
  })
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    // ESRCH: it ended while it was read. EACCES: it belongs to somebody else.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(codeOf(error))) return null
    throw error
  }
}

/** Signals a process or, negative, a group; false when nothing was there to take it. */
export function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): boolean {
  try {
    return process.kill(pid, name)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
    throw error
  }
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
