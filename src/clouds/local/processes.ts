import { readdir, readFile, readlink } from 'node:fs/promises'

/** A process of a machine: every one carries the machine's name in its environment. */
export interface MachineProcess {
  readonly pid: number
  readonly machine: string
  /** True for the loop at the top, which ends all the others when it is told to end. */
  readonly isLoop: boolean
}

const marker = Buffer.from('FLIGHTDECK_MACHINE=')

/** Every process on this host whose machine name begins with `prefix`. Zombies have no environment and do not count. */
export async function machineProcesses(prefix: string): Promise<MachineProcess[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))
  const found = await Promise.all(pids.map((pid) => readProcess(Number(pid), prefix)))
  return found.filter((process) => process !== null)
}

async function readProcess(pid: number, prefix: string): Promise<MachineProcess | null> {
  try {
    const environment = await readFile(`/proc/${pid}/environ`)
    const machine = machineIn(environment)
    if (!machine?.startsWith(prefix)) return null
    const command = await readFile(`/proc/${pid}/cmdline`, 'latin1')
    return { pid, machine, isLoop: command.includes('loop.sh') }
  } catch {
    // It ended while we looked, or it is another user's: then it is no machine of ours.
    return null
  }
}

function machineIn(environment: Buffer): string | null {
  let from = environment.indexOf(marker)
  while (from > 0 && environment[from - 1] !== 0) from = environment.indexOf(marker, from + 1)
  if (from < 0) return null
  const start = from + marker.length
  const end = environment.indexOf(0, start)
  return environment.toString('latin1', start, end < 0 ? undefined : end)
}

/** True where processes can be found by their environment at all. */
export async function canFindProcesses(): Promise<boolean> {
  return readlink('/proc/self').then(
    () => true,
    () => false,
  )
}

/** Signals a process of ours; one that has just ended needs none. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
