import type { Cloud } from '../clouds/cloud.ts'
import { SkyApi } from '../clouds/skypilot/api.ts'
import { type DirectPorts, SkyLaunches } from '../clouds/skypilot/launches.ts'
import { SkyCloud } from '../clouds/skypilot/skypilot.ts'
import type { AgentFiles, Executable } from '../clouds/skypilot/task.ts'
import type { CloudTraits } from '../core/decide-node.ts'
import type { Offer } from '../core/offer.ts'
import { installLimitMs, type Recipes } from '../core/recipe.ts'
import { sha256 } from '../lib/chance.ts'
import { systemClock } from '../lib/clock.ts'
import type { ArtefactIndex, ExecutablePlatform } from '../wire/artefacts.ts'
import { nodesReachUsAt, type PublicAddresses } from './public-address.ts'
import type { SkyCloudConfig, SkypilotConfig } from './skypilot-config.ts'

export interface SkyOptions extends PublicAddresses {
  readonly config: SkypilotConfig
  readonly install: string
  /** Where this process itself is reached, on loopback. */
  readonly controlUrl: string
  /** What machines pin at the public address. */
  readonly fingerprint: string | null
  readonly token: string | undefined
  readonly agent: ArtefactIndex
  /** Without what is installed first. */
  readonly loadLimitMs: number
  readonly drainLimitMs: number
  readonly recipes: Recipes
}

export interface SkyClouds {
  readonly clouds: readonly Cloud[]
  close(): void
}

/** The clouds of one SkyPilot API server. @throws Error that says what to set where nodes could not reach us. */
export function skyClouds(options: SkyOptions): SkyClouds {
  const { config, install, token, agent } = options
  const userId = sha256(install).slice(0, 8)
  const auth = token ? { token } : {}
  const api = new SkyApi({ url: config.url, userId, command: `flightdeck ${install}`, ...auth })
  const launches = new SkyLaunches(api, systemClock, `fd-${install}-`, directPortsOf(config))
  const clouds = Object.entries(config.clouds).map(([cloud, given]) => {
    const controlUrl = nodesReachUsAt(cloud, given, options)
    const { regions, gpus, spot, nodeBin } = given
    const task = {
      controlUrl,
      controlFingerprint: controlUrl.startsWith('https:') ? options.fingerprint : null,
      agent: agentFilesOf(agent, [
        ...(config.agentMirror ? [config.agentMirror] : []),
        `${controlUrl}/downloads/agent`,
      ]),
      nodeBin,
      cpus: given.cpus ?? null,
      memoryGib: given.memoryGib ?? null,
      diskGib: given.diskGib ?? null,
      image: given.image ?? null,
      autodown: given.autodown ?? !withoutAutodown.has(cloud),
      directPort: given.direct ? given.directPort : null,
    }
    const traits = traitsOf(cloud, given, options)
    const requestLimitMsFor = (offer: Offer) => (given.requestLimitMin === undefined ? slowToCome(offer) : null)
    const offered = { cloud, regions, gpus, spot, traits, requestLimitMsFor }
    return new SkyCloud({ api, launches, clock: systemClock, task, ...offered })
  })
  return { clouds, close: () => launches.close() }
}

export const directPortsOf = (config: SkypilotConfig | undefined): DirectPorts =>
  new Map(
    Object.entries(config?.clouds ?? {}).flatMap(([name, given]) => (given.direct ? [[name, given.directPort]] : [])),
  )

/** What machines are brought, from folders that hold what `dist/agent` holds. @throws Error where bundle or loop is missing. */
export function agentFilesOf({ version, artefacts }: ArtefactIndex, folders: readonly string[]): AgentFiles {
  const sumOf = (name: string) => artefacts.find(({ file }) => file === name)?.sha256 ?? null
  const needed = (name: string): string => {
    const sum = sumOf(name)
    if (sum === null) throw new Error(`The agent was built without ${name}.`)
    return sum
  }
  const executable = (platform: ExecutablePlatform): Executable | null => {
    const [raw, gzip] = [sumOf(`agent-${platform}`), sumOf(`agent-${platform}.gz`)]
    return raw && gzip ? { raw, gzip } : null
  }
  return {
    from: folders.map((folder) => `${folder.replace(/\/+$/, '')}/${version}`),
    bundle: needed('agent.cjs'),
    loop: needed('loop.sh'),
    x64: executable('linux-x64'),
    arm64: executable('linux-arm64'),
  }
}

/** SkyPilot 0.14.1 refuses a task there that asks for it, as its source says; Slurm's machines end themselves otherwise. */
const withoutAutodown: ReadonlySet<string> = new Set(['hyperbolic', 'primeintellect', 'slurm', 'verda', 'yotta'])

// Minutes until a machine is seen, as other launchers allow: bare metal and queues take their time. Guesses elsewhere.
const requestLimitsMin: Readonly<Record<string, number>> = {
  kubernetes: 20,
  lambda: 30,
  oci: 20,
  runpod: 20,
  slurm: 20,
  vultr: 55,
}
const usualRequestLimitMin = 10

// The same source: a4-highgpu-8g of Google Cloud.
const slowToCome = ({ cloud, gpu, gpuCount }: Offer): number | null =>
  cloud === 'gcp' && gpu === 'B200' && gpuCount === 8 ? 16 * 60_000 : null

function traitsOf(
  cloud: string,
  given: SkyCloudConfig,
  { loadLimitMs, drainLimitMs, recipes }: Pick<SkyOptions, 'loadLimitMs' | 'drainLimitMs' | 'recipes'>,
): CloudTraits {
  const requestLimitMin = given.requestLimitMin ?? requestLimitsMin[cloud] ?? usualRequestLimitMin
  return {
    // A row is deleted after the machine has ended; a second look by itself guards against a server that just started.
    confirmGoneMs: 3_000,
    listingLagMs: 3_000,
    // The server's answer to a launch is waited for as long as this, and then some.
    askLimitMs: 40_000,
    requestLimitMs: requestLimitMin * 60_000,
    bootLimitMs: given.bootLimitMin * 60_000,
    loadLimitMs: loadLimitMs + installLimitMs(recipes, cloud),
    drainLimitMs,
    lookMs: 30_000,
    lookFastMs: 1_500,
  }
}
