import { stringify } from 'yaml'
import type { Offer } from '../../core/offer.ts'
import { runScript } from './run-script.ts'

/** What a machine may be brought: SHA-256 of each file, where it lies by its own name. */
export interface AgentFiles {
  /** Folders, as addresses, in the order that they are asked in. */
  readonly from: readonly string[]
  readonly bundle: string
  readonly loop: string
  /** Of the executables for machines without Node; null: it was not built. */
  readonly x64: Executable | null
  readonly arm64: Executable | null
}

export interface Executable {
  readonly raw: string
  readonly gzip: string
}

export interface TaskParts {
  readonly name: string
  readonly offer: Offer
  readonly joinToken: string
  readonly controlUrl: string
  /** SHA-256 of the control plane's own authority, where it has one. */
  readonly controlFingerprint: string | null
  readonly agent: AgentFiles
  /** The Node that runs the agent where it is there and not too old: a path, or a name on the machine's PATH. */
  readonly nodeBin: string
  readonly cpus: string | null
  readonly memoryGib: string | null
  readonly diskGib: number | null
  readonly image: string | null
  /** Whether SkyPilot's part on the machine ends it a while after its job has ended, also when nobody asks for that. */
  readonly autodown: boolean
  /** Opened to the world, for gateways that call the machine; null: none is. */
  readonly directPort: number | null
}

// The job lasts as long as the agent's loop. Time to look at a set-up that failed, and no more. A guess.
const idleMin = 10

/**
 * The task file of one machine at one place. Scripts are constant and everything that differs is a variable, so no
 * value can become a command. Task files can be read at the API server: the one secret in it is good once.
 */
export function taskFile(parts: TaskParts): string {
  const { name, offer, agent } = parts
  const task = {
    name,
    resources: {
      infra: `${offer.cloud}/${offer.region}`,
      ...(offer.gpu === null ? {} : { accelerators: `${offer.gpu}:${offer.gpuCount}` }),
      ...hostOf(parts),
      ...(parts.diskGib === null ? {} : { disk_size: parts.diskGib }),
      ...(parts.image === null ? {} : { image_id: parts.image }),
      use_spot: offer.spot,
      ...(parts.autodown ? { autostop: { idle_minutes: idleMin, down: true, wait_for: 'jobs' } } : {}),
      ...(parts.directPort === null ? {} : { ports: [String(parts.directPort)] }),
    },
    // Left out, SkyPilot would put credentials for its own API server on the machine.
    api_server_access: false,
    envs: {
      FD_MACHINE: name,
      FD_CONTROL_URL: parts.controlUrl,
      FD_CONTROL_FINGERPRINT: parts.controlFingerprint ?? '',
      FD_AGENT_FROM: agent.from.join(' '),
      FD_AGENT_SHA256: agent.bundle,
      FD_LOOP_SHA256: agent.loop,
      FD_X64_SHA256: sumsOf(agent.x64),
      FD_ARM64_SHA256: sumsOf(agent.arm64),
      FD_NODE_BIN: parts.nodeBin,
    },
    secrets: { FD_JOIN_TOKEN: parts.joinToken },
    run: runScript,
  }
  // Quoted, so that no word of ours is taken for a number, a date or a no.
  return stringify(task, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN', lineWidth: 0 })
}

/** An offer of one machine type is held to it: told the size alone, SkyPilot would go on to dearer types when it is full. */
function hostOf({ offer, cpus, memoryGib }: TaskParts): Readonly<Record<string, string>> {
  if (offer.instanceType !== undefined) return { instance_type: offer.instanceType }
  return { ...(cpus === null ? {} : { cpus }), ...(memoryGib === null ? {} : { memory: memoryGib }) }
}

const sumsOf = (one: Executable | null): string => (one ? `${one.raw} ${one.gzip}` : '')
