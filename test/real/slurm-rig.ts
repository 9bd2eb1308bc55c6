import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, vi } from 'vitest'
import type { Plane } from '../e2e/plane.ts'

const run = promisify(execFile)
const rig = join(import.meta.dirname, '../../rig/skypilot-slurm')
const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'flightdeck', 'skypilot-slurm')
const logs = join(folder, 'log')
const env = { ...process.env, SLURM_CONF: join(folder, 'slurm', 'slurm.conf') }

let traced = false

// All that dial, send or look a name up.
const calls = 'connect,sendmmsg,sendto,sendmsg'

// Others may load the machine: only a wait that nobody ever ends should reach this.
export const deadline = { timeout: 300_000, interval: 500 }

/** The real SkyPilot and Slurm of rig/skypilot-slurm, and both seen from outside: not through our own client. */
export const slurmRig = {
  /** The one that the server runs on. */
  python: join(folder, 'venv', 'bin', 'python'),

  /** Installs what is missing, starts what does not run, and returns the API server's address. */
  async up({ trace = false } = {}): Promise<string> {
    if (trace) {
      await this.down()
      for (const file of traceFiles()) rmSync(file)
      traced = true
    }
    // What is started again is followed like what it takes the place of.
    const more = traced ? { RIG_TRACE: calls } : {}
    const { stdout } = await run(join(rig, 'up'), [folder], { maxBuffer: 2 ** 26, env: { ...process.env, ...more } })
    return stdout.trim().split('\n').at(-1) ?? ''
  },

  async down(): Promise<void> {
    await run(join(rig, 'down'), [folder])
  },

  /** The API server and its workers, as a machine that runs out of memory ends them. `up` starts it again. */
  killServer(): void {
    process.kill(-Number(readFileSync(join(folder, 'run', 'api.pid'), 'utf8')), 'SIGKILL')
  },

  /** The names of Slurm's jobs in whatever state, one for each job: SkyPilot names a job after its cluster. */
  async jobs(): Promise<string[]> {
    const { stdout } = await run('squeue', ['-h', '-o', '%j'], { env })
    return stdout.split('\n').filter((name) => name !== '')
  },

  /** The names of the jobs that are over, one for each job that ever was. */
  endedJobs(): string[] {
    return [...readFileSync(join(logs, 'jobs'), 'utf8').matchAll(/ Name=(\S+)/g)].map(([, name = '']) => name)
  },

  async setPartition(name: 'main' | 'spot', state: 'up' | 'down'): Promise<void> {
    await run('scontrol', ['update', `partition=${name}`, `state=${state}`], { env })
  },

  /** Ends a job without telling SkyPilot, as a reclaim does. */
  async cancelJobs(names: readonly string[]): Promise<void> {
    await run('scancel', ['--name', names.join(',')], { env })
  },

  /** What the server, the daemons and all that they started dialled since a traced start. */
  traces: () => traceFiles().map((file) => readFileSync(file, 'latin1')),
}

function traceFiles(): string[] {
  if (!existsSync(logs)) return []
  const names = readdirSync(logs).filter((name) => name.startsWith('dialled.'))
  return names.map((name) => join(logs, name))
}

interface ClusterRow {
  readonly name: string
  readonly status: string
}

/** Asks the API server as curl would: a request, and then its answer. */
async function askedOf(url: string, path: string, fields: Record<string, unknown>): Promise<unknown> {
  const headers = { 'content-type': 'application/json' }
  const posted = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(fields) })
  const id = posted.headers.get('x-skypilot-request-id')
  const answer = (await (await fetch(`${url}/api/get?request_id=${id}`)).json()) as { return_value: string }
  return JSON.parse(answer.return_value)
}

/** The clusters that the API server knows. */
export async function clustersAt(url: string): Promise<ClusterRow[]> {
  const fields = { cluster_names: null, refresh: 'NONE', all_users: true, include_credentials: false }
  return (await askedOf(url, '/status', fields)) as ClusterRow[]
}

/** The jobs that the cluster of this name was ever given, counted by SkyPilot on its machine. */
export async function jobsOfCluster(url: string, name: string): Promise<number> {
  const fields = { cluster_name: name, skip_finished: false, all_users: true }
  return ((await askedOf(url, '/queue', fields)) as unknown[]).length
}

/** How many launches the server was asked for under this name since it started. */
export async function launchesAskedOf(url: string, name: string): Promise<number> {
  const asked = await fetch(`${url}/api/status?all_status=true&cluster_name=${name}&fields=name`)
  return ((await asked.json()) as { name: string }[]).filter((request) => request.name === 'sky.launch').length
}

/** What a test that failed has left, so that the next one begins with nothing. */
export async function giveBackAll(plane: Plane): Promise<void> {
  const { items } = await plane.client.listLaunches({})
  for (const { id, actions } of items) if (actions.length > 0) await plane.client.cancelLaunch({ params: { id } })
}

/**
 * Counted from outside: no cluster at SkyPilot, no job at Slurm, no process on this host, and no name that ever had two
 * jobs or was asked for twice.
 */
export async function nothingIsLeft(url: string, plane: Plane): Promise<void> {
  const ours = `fd-${plane.installId}-`
  await vi.waitFor(async () => {
    expect((await clustersAt(url)).map(({ name }) => name).filter((name) => name.startsWith(ours))).toEqual([])
    expect((await slurmRig.jobs()).filter((name) => name.startsWith(ours))).toEqual([])
    expect(processesOf(ours)).toEqual([])
  }, deadline)
  const names = slurmRig.endedJobs().filter((name) => name.startsWith(ours))
  expect(names).toEqual([...new Set(names)])
  for (const name of names) expect(await launchesAskedOf(url, name), name).toBeLessThanOrEqual(1)
}

/**
 * The processes of machines whose name begins so, each with its command. One carries the name in its environment, as the
 * agent does, or prints into a folder of that name: vLLM's core writes its title over its environment.
 */
export function processesOf(prefix: string): string[] {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && entry !== String(process.pid))
  return pids.flatMap((pid) => {
    try {
      const named = readFileSync(`/proc/${pid}/environ`, 'latin1').includes(prefix)
      if (!named && !outputsOf(pid).some((path) => path.includes(prefix))) return []
      return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}`]
    } catch {
      // It ended while we looked.
      return []
    }
  })
}

/** Where a process prints to, also after the file was deleted. */
const outputsOf = (pid: string): string[] =>
  [1, 2].flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      // It has closed this one, or it ended.
      return []
    }
  })
