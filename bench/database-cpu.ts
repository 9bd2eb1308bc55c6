import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

// Linux counts in hundredths of a second, whatever the kernel's own clock is.
const tickMs = 10

interface Process {
  readonly pid: number
  /** User and system, and the same of children that were waited for. */
  readonly cpuMs: number
}

/** CPU that an embedded PostgreSQL has used so far: its first process, those that are, and those that have ended. Linux only. */
export const databaseCpuMs = (dataDir: string): number =>
  databaseProcesses(dataDir).reduce((sum, { cpuMs }) => sum + cpuMs, 0)

/** The processes of an embedded PostgreSQL. Linux only. */
export function databaseProcesses(dataDir: string): Process[] {
  const [first = ''] = readFileSync(join(dataDir, 'postgres', 'postgres', 'postmaster.pid'), 'utf8').split('\n')
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => processOf(pid, first) ?? [])
}

function processOf(pid: string, first: string): Process | null {
  let stat: string
  try {
    stat = readFileSync(join('/proc', pid, 'stat'), 'utf8')
  } catch {
    // It ended since the list was read.
    return null
  }
  const [, parent, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (pid !== first && parent !== first) return null
  // The 14th to 17th fields.
  return { pid: Number(pid), cpuMs: tickMs * rest.slice(9, 13).reduce((sum, ticks) => sum + Number(ticks), 0) }
}
