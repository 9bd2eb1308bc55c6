import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { codeOf } from '../lib/error-code.ts'
import { isDead, type ProcStat, parseStat } from '../lib/proc-stat.ts'

/** Null when there is no such process. */
export function readStat(pid: number): ProcStat | null {
  const text = readProc(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
  return text === null ? null : parseStat(text)
}

/** The very process that was started then, and not a zombie that nobody has reaped yet. */
export function isRunning(pid: number, startTime: string): boolean {
  const stat = readStat(pid)
  return stat !== null && stat.startTime === startTime && !isDead(stat)
}

/** Processes whose environment holds every one of these `NAME=value` words, apart from ourselves. */
export function processesWith(words: readonly string[]): number[] {
  return allPids().filter((pid) => {
    if (pid === process.pid) return false
    const environment = readProc(() => readFileSync(`/proc/${pid}/environ`, 'latin1'))
    if (environment === null) return false
    const have = new Set(environment.split('\0'))
    return words.every((word) => have.has(word))
  })
}

/** Processes whose output goes to this file, apart from ourselves. One that sets its title may have lost its environment. */
export function processesPrintingTo(file: string): number[] {
  const target = realpathOf(file)
  return allPids().filter(
    (pid) =>
      pid !== process.pid && [1, 2].some((fd) => readProc(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) === target),
  )
}

/** Living members of a process group. */
export function groupMembers(group: number): number[] {
  return allPids().filter((pid) => {
    const stat = readStat(pid)
    return stat !== null && stat.group === group && !isDead(stat)
  })
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

const realpathOf = (file: string): string => readProc(() => realpathSync(file)) ?? file

function readProc(read: () => string): string | null {
  try {
    return read()
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
