import { readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'

/** A process of a machine: it carries the machine's name in its environment, or prints into the machine's folder. */
export interface MachineProcess {
  readonly pid: number
  readonly machine: string
  /** True for the loop at the top, which ends all the others when it is told to end. */
  readonly isLoop: boolean
}

const marker = Buffer.from('FLIGHTDECK_MACHINE=')

/**
 * Every process on this host whose machine's name begins with `prefix`. A program that sets its title may write over
 * its environment, as vLLM's core does; it is told by its output, which goes into its folder under `machines`.
 * Zombies have neither environment nor output and do not count.
 */
export async function machineProcesses(prefix: string, machines?: string): Promise<MachineProcess[]> {
  const folder = machines && join(await realpath(machines).catch(() => machines), sep)
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))
  const found = await Promise.all(pids.map((pid) => readProcess(Number(pid), prefix, folder)))
  return found.filter((process) => process !== null)
}

async function readProcess(pid: number, prefix: string, folder: string | undefined): Promise<MachineProcess | null> {
  try {
    const named = machineIn(await readFile(`/proc/${pid}/environ`))
    const machine = named ?? (folder ? await machinePrintedTo(pid, folder) : null)
    if (!machine?.startsWith(prefix)) return null
    const command = await readFile(`/proc/${pid}/cmdline`, 'latin1')
    return { pid, machine, isLoop: command.includes('loop.sh') }
  } catch {
    // It ended while we looked, or it is another user's: then it is no machine of ours.
    return null
  }
}

async function machinePrintedTo(pid: number, folder: string): Promise<string | null> {
  for (const fd of [1, 2]) {
    // Where it has closed its output there is nothing to read.
    const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
    if (target.startsWith(folder)) return target.slice(folder.length).split(sep)[0] ?? null
  }
  return null
}

function machineIn(environment: Buffer): string | null {
  let from = environment.indexOf(marker)
  while (from > 0 && environment[from - 1] !== 0) from = environment.indexOf(marker, from + 1)
  if (from < 0) return null
  const start = from + marker.length
  const end = environment.indexOf(0, start)
  return environment.toString('latin1', start, end < 0 ? undefined : end)
}

/** Signals a process of ours; one that has just ended needs none. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
