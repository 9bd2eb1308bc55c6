import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

// Linux counts in hundredths of a second, whatever the kernel's own clock is.
const tickMs = 10

/** CPU that an embedded PostgreSQL has used so far: its first process, those that are, and those that have ended. Linux only. */
export function databaseCpuMs(dataDir: string): number {
  const [first = ''] = readFileSync(join(dataDir, 'postgres', 'postgres', 'postmaster.pid'), 'utf8').split('\n')
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .reduce((sum, pid) => sum + cpuMsOf(pid, first), 0)
}

function cpuMsOf(pid: string, first: string): number {
  let stat: string
  try {
    stat = readFileSync(join('/proc', pid, 'stat'), 'utf8')
  } catch {
    // It ended since the list was read.
    return 0
  }
  const [, parent, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (pid !== first && parent !== first) return 0
  // The 14th to 17th fields: user, system, and the same of children that were waited for.
  return tickMs * rest.slice(9, 13).reduce((sum, ticks) => sum + Number(ticks), 0)
}
