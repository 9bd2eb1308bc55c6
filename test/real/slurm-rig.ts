import { execFile } from 'node:child_process'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const rig = join(import.meta.dirname, '../../rig/skypilot-slurm')
const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'flightdeck', 'skypilot-slurm')
const env = { ...process.env, SLURM_CONF: join(folder, 'slurm', 'slurm.conf') }

/** The real SkyPilot and Slurm of rig/skypilot-slurm, and both seen from outside: not through our own client. */
export const slurmRig = {
  /** Installs what is missing, starts what does not run, and returns the API server's address. */
  async up(): Promise<string> {
    const { stdout } = await run(join(rig, 'up'), [folder], { maxBuffer: 2 ** 26 })
    return stdout.trim().split('\n').at(-1) ?? ''
  },

  async down(): Promise<void> {
    await run(join(rig, 'down'), [folder])
  },

  /** The names of Slurm's jobs in whatever state, one for each job: SkyPilot names a job after its cluster. */
  async jobs(): Promise<string[]> {
    const { stdout } = await run('squeue', ['-h', '-o', '%j'], { env })
    return stdout.split('\n').filter((name) => name !== '')
  },

  async setPartition(name: 'main' | 'spot', state: 'up' | 'down'): Promise<void> {
    await run('scontrol', ['update', `partition=${name}`, `state=${state}`], { env })
  },

  /** Ends a job without telling SkyPilot, as a reclaim does. */
  async cancelJobs(names: readonly string[]): Promise<void> {
    await run('scancel', ['--name', names.join(',')], { env })
  },
}

interface ClusterRow {
  readonly name: string
  readonly status: string
}

/** The clusters that the API server knows, asked as curl would. */
export async function clustersAt(url: string): Promise<ClusterRow[]> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ cluster_names: null, refresh: 'NONE', all_users: true, include_credentials: false })
  const posted = await fetch(`${url}/status`, { method: 'POST', headers, body })
  const id = posted.headers.get('x-skypilot-request-id')
  const answer = (await (await fetch(`${url}/api/get?request_id=${id}`)).json()) as { return_value: string }
  return JSON.parse(answer.return_value) as ClusterRow[]
}
