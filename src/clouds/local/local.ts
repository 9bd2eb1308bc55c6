import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CloudTraits } from '../../core/decide-node.ts'
import { failureRecord } from '../../core/failure.ts'
import type { Offer } from '../../core/offer.ts'
import type { Clock } from '../../lib/clock.ts'
import type { AskAnswer, Cloud, ListedMachine, MachineAsk } from '../cloud.ts'
import { Book } from './book.ts'
import { type HostGpu, hostGpus } from './gpus.ts'
import { type MachineProcess, machineProcesses, signalProcess } from './processes.ts'

export interface LocalCloudOptions {
  /** `local`; where control planes of several hosts share a database, also the host's name. */
  readonly name: string
  readonly clock: Clock
  /** Machines of this install are named `fd-<install>-...`; no other process is ever touched. */
  readonly install: string
  /** Holds a folder for each machine, and the books of GPUs and places. */
  readonly folder: string
  readonly controlUrl: string
  /** The bundled agent, its loop, and the Node that runs it. */
  readonly agentFile: string
  readonly loopFile: string
  readonly nodeBin: string
  readonly pricePerHourMicroUsd: number
  readonly maxMachines: number
  /** Handed to the agent as it is: test clocks and simulated faults. */
  readonly env: Readonly<Record<string, string>>
  readonly loadLimitMs: number
  readonly drainLimitMs: number
  /** Past this, what still runs of a machine that was told to end is killed. */
  readonly endGraceMs: number
}

/** Machines that are processes on this host: the agent's loop, the agent, and under it the engine. */
export class LocalCloud implements Cloud {
  readonly name: string
  readonly traits: CloudTraits
  readonly #options: LocalCloudOptions
  readonly #prefix: string
  readonly #gpus: Book
  readonly #places: Book

  constructor(options: LocalCloudOptions) {
    this.#options = options
    this.name = options.name
    this.#prefix = `fd-${options.install}-`
    this.#gpus = new Book(join(options.folder, 'gpus'))
    this.#places = new Book(join(options.folder, 'places'))
    this.traits = { ...localTraits, loadLimitMs: options.loadLimitMs, drainLimitMs: options.drainLimitMs }
  }

  async offers(): Promise<Offer[]> {
    return localOffers(await hostGpus(), this.#options)
  }

  async listMachines(): Promise<ListedMachine[]> {
    const { pricePerHourMicroUsd } = this.#options
    return [...(await this.#living())].map(([name, pids]) => ({ name, detail: { pids }, pricePerHourMicroUsd }))
  }

  async ensureMachine(ask: MachineAsk): Promise<AskAnswer> {
    const machines = await this.#living()
    if (machines.has(ask.name)) return { accepted: true }
    if (!(await this.#takePlace(ask, machines))) {
      const { maxMachines } = this.#options
      return refused(`All ${maxMachines} places for machines of this host are taken (\`local.maxMachines\`).`)
    }
    const gpus = await this.#takeGpus(ask, machines)
    if (gpus === null) {
      await this.#places.giveBack(ask.name)
      return refused(`${ask.offer.gpuCount} x ${ask.offer.gpu} are not free on this host.`)
    }
    await this.#start(ask, gpus)
    return { accepted: true }
  }

  /** Tells the machine's loop to end everything; past the grace, or where the loop is dead, does so itself. */
  async ensureGone(name: string): Promise<void> {
    if (!name.startsWith(this.#prefix)) throw new Error(`${name} is not a machine of this install`)
    const processes = (await this.#processes()).filter(({ machine }) => machine === name)
    if (processes.length === 0) return
    const now = this.#options.clock.now()
    const since = await endAskedAt(this.#dirOf(name), now)
    const loops = processes.filter(({ isLoop }) => isLoop)
    if (now - since > this.#options.endGraceMs) for (const { pid } of processes) signalProcess(pid, 'SIGKILL')
    else for (const { pid } of loops.length > 0 ? loops : processes) signalProcess(pid, 'SIGTERM')
  }

  #dirOf(name: string): string {
    return join(this.#machines, name)
  }

  get #machines(): string {
    return join(this.#options.folder, 'machines')
  }

  #processes(): Promise<MachineProcess[]> {
    return machineProcesses(this.#prefix, this.#machines)
  }

  async #living(): Promise<Map<string, number[]>> {
    const machines = new Map<string, number[]>()
    for (const { machine, pid } of await this.#processes()) {
      machines.set(machine, [...(machines.get(machine) ?? []), pid])
    }
    return machines
  }

  /** Machines are counted as well: the number that is allowed may have been lowered since they took their places. */
  async #takePlace({ name }: MachineAsk, living: ReadonlyMap<string, unknown>): Promise<boolean> {
    const { maxMachines } = this.#options
    if (living.size >= maxMachines) return false
    await this.#freeUnused(this.#places, living)
    return (await this.#places.take(name, [...Array(maxMachines).keys()], 1)) !== null
  }

  async #takeGpus({ name, offer }: MachineAsk, living: ReadonlyMap<string, unknown>): Promise<number[] | null> {
    if (offer.gpu === null) return []
    await this.#freeUnused(this.#gpus, living)
    const indexes = (await hostGpus()).map(({ index }) => index)
    return this.#gpus.take(name, indexes, offer.gpuCount)
  }

  #freeUnused(book: Book, living: ReadonlyMap<string, unknown>): Promise<void> {
    const wasToldToEnd = (name: string) => existsSync(join(this.#dirOf(name), endAskedFile))
    return book.freeAllBut(new Set(living.keys()), wasToldToEnd, this.#options.clock.now())
  }

  async #start(ask: MachineAsk, gpus: readonly number[]): Promise<void> {
    const { controlUrl, agentFile, loopFile, nodeBin, env } = this.#options
    const dir = this.#dirOf(ask.name)
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const tokenFile = join(dir, 'join-token')
    await writeFile(tokenFile, ask.joinToken, { mode: 0o600 })
    await runDetached(loopFile, dir, {
      ...inherited(),
      ...env,
      FLIGHTDECK_MACHINE: ask.name,
      FLIGHTDECK_CONTROL_URL: controlUrl,
      FLIGHTDECK_JOIN_TOKEN_FILE: tokenFile,
      FLIGHTDECK_NODE_DIR: dir,
      FLIGHTDECK_AGENT: agentFile,
      FLIGHTDECK_NODE_BIN: nodeBin,
      // What one machine of this host has installed serves the next one.
      FLIGHTDECK_RECIPE_DIR: join(this.#options.folder, 'recipes'),
      ...(gpus.length > 0 ? { CUDA_VISIBLE_DEVICES: gpus.join(',') } : {}),
    })
  }
}

function refused(cause: string): AskAnswer {
  return { accepted: false, refusal: failureRecord('no_capacity', cause) }
}

/** The machine outlives this process. Its loop holds a lock, so a second one under the same name ends at once. */
async function runDetached(loopFile: string, dir: string, env: Record<string, string>): Promise<void> {
  const log = await open(join(dir, 'agent.log'), 'a', 0o600)
  try {
    const child = spawn('/bin/sh', [loopFile], { detached: true, cwd: dir, stdio: ['ignore', log.fd, log.fd], env })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    child.unref()
  } finally {
    await log.close()
  }
}

// Measured on one host: a process is in /proc before spawn returns; the rest are guesses with room to spare.
const localTraits: Omit<CloudTraits, 'loadLimitMs' | 'drainLimitMs'> = {
  confirmGoneMs: 200,
  listingLagMs: 1_000,
  askLimitMs: 5_000,
  requestLimitMs: 15_000,
  bootLimitMs: 30_000,
  lookMs: 10_000,
  lookFastMs: 250,
}

/** The whole host in ones, twos, ... of its GPU; a host without GPUs offers machines without one. */
export function localOffers(
  gpus: readonly HostGpu[],
  options: Pick<LocalCloudOptions, 'name' | 'pricePerHourMicroUsd' | 'maxMachines'>,
): Offer[] {
  const first = gpus[0]
  const base = { cloud: options.name, region: 'here', spot: false }
  if (!first) {
    const price = options.pricePerHourMicroUsd
    return [
      {
        ...base,
        id: `${options.name}/here/cpu`,
        gpu: null,
        gpuCount: 0,
        vramGib: 0,
        pricePerHourMicroUsd: price,
        available: options.maxMachines,
      },
    ]
  }
  const counts = [1, 2, 4, 8].filter((count) => count <= gpus.length)
  return counts.map((gpuCount) => ({
    ...base,
    id: `${options.name}/here/${first.name.replaceAll(' ', '-')}x${gpuCount}`,
    gpu: first.name,
    gpuCount,
    vramGib: Math.floor(first.memoryMib / 1024),
    pricePerHourMicroUsd: options.pricePerHourMicroUsd * gpuCount,
    available: Math.floor(gpus.length / gpuCount),
  }))
}

/** What a process of a machine may know of our environment: where programs are, never our own configuration. */
function inherited(): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TMPDIR', 'USER', 'LD_LIBRARY_PATH']
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name] as string]] : [])))
}

const endAskedFile = 'end-asked-at'

/** When the end of this machine was first asked for; kept on disk, so that a restart does not begin its grace anew. */
async function endAskedAt(dir: string, now: number): Promise<number> {
  const file = join(dir, endAskedFile)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await writeFile(file, String(now), { flag: 'wx' }).catch(() => undefined)
  return Number(await readFile(file, 'utf8')) || now
}
