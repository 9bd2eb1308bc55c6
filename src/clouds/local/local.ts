import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import type { CloudTraits } from '../../core/decide-node.ts'
import { failureRecord } from '../../core/failure.ts'
import { firstHeldGpuFd, heldGpusVariable } from '../../core/held-gpus.ts'
import type { Offer } from '../../core/offer.ts'
import { type Clock, pause } from '../../lib/clock.ts'
import type { AskAnswer, Cloud, ListedMachine, MachineAsk } from '../cloud.ts'
import { Book } from './book.ts'
import { GpuHold, type GpuHolders, gpuHolders, holdGpus } from './gpu-holds.ts'
import { gpuKinds, type HostGpu, hostGpus } from './gpus.ts'
import { type MachineProcess, machineProcesses, signalProcess } from './processes.ts'

export interface LocalCloudOptions {
  /** `local`; where control planes of several hosts share a database, also the host's name. */
  readonly name: string
  readonly clock: Clock
  /** Machines of this install are named `fd-<install>-...`; no other process is ever touched. */
  readonly install: string
  /** Holds a folder for each machine, and the book of places. */
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

interface Given {
  readonly hold: GpuHold
  readonly gpus: readonly HostGpu[]
}

/** Machines that are processes on this host: the agent's loop, the agent, and under it the engine. */
export class LocalCloud implements Cloud {
  readonly name: string
  readonly traits: CloudTraits
  readonly #options: LocalCloudOptions
  readonly #prefix: string
  readonly #places: Book

  constructor(options: LocalCloudOptions) {
    this.#options = options
    this.name = options.name
    this.#prefix = `fd-${options.install}-`
    this.#places = new Book(join(options.folder, 'places'))
    this.traits = { ...localTraits, loadLimitMs: options.loadLimitMs, drainLimitMs: options.drainLimitMs }
  }

  async offers(): Promise<Offer[]> {
    const gpus = await hostGpus()
    const held = gpus.length > 0 ? new Map([...(await this.#heldByOurs()), ...(await gpuHolders())]) : new Map()
    return localOffers(gpus, this.#options, held)
  }

  async listMachines(): Promise<ListedMachine[]> {
    const { pricePerHourMicroUsd: price } = this.#options
    const machines = [...(await this.#living())]
    return Promise.all(
      machines.map(async ([name, pids]) => {
        const gpus = (await this.#gpusOf(name)).length
        return { name, detail: { pids }, pricePerHourMicroUsd: price * Math.max(1, gpus) }
      }),
    )
  }

  async ensureMachine(ask: MachineAsk): Promise<AskAnswer> {
    const machines = await this.#living()
    if (machines.has(ask.name)) return { accepted: true }
    if (!(await this.#takePlace(ask, machines))) {
      const { maxMachines } = this.#options
      return refused(`All ${maxMachines} places for machines of this host are taken (\`local.maxMachines\`).`)
    }
    const given = await this.#takeGpus(ask)
    if (given === 'taken_for_it') return { accepted: true }
    if ('why' in given) {
      await this.#places.giveBack(ask.name)
      return refused(given.why)
    }
    try {
      await this.#start(ask, given)
    } finally {
      // The machine has inherited them. Where we die instead, they are its own if it runs, and free if it does not.
      await given.hold.release()
    }
    return { accepted: true }
  }

  /** Tells the machine's loop to end everything; past the grace, or where the loop is dead, does so itself. */
  async ensureGone(name: string): Promise<void> {
    if (!name.startsWith(this.#prefix)) throw new Error(`${name} is not a machine of this install`)
    const processes = (await this.#processes()).filter(({ machine }) => machine === name)
    if (processes.length === 0) return forgetSecrets(this.#dirOf(name))
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
    const wasToldToEnd = (name: string) => existsSync(join(this.#dirOf(name), endAskedFile))
    await this.#places.freeAllBut(new Set(living.keys()), wasToldToEnd, this.#options.clock.now())
    return (await this.#places.take(name, [...Array(maxMachines).keys()], 1)) !== null
  }

  /** `taken_for_it`: another control plane of this install starts the same machine right now. */
  async #takeGpus({ name, offer }: MachineAsk): Promise<Given | 'taken_for_it' | { readonly why: string }> {
    if (offer.gpu === null) return { hold: new GpuHold([], []), gpus: [] }
    const kinds = gpuKinds(await hostGpus())
    const same = kinds.find((kind) => kind.name === offer.gpu && kind.vramGib === offer.vramGib)?.gpus ?? []
    const uuids = same.map(({ uuid }) => uuid)
    const deadline = performance.now() + endedMs
    for (;;) {
      const held = await holdGpus(name, uuids, offer.gpuCount, await this.#heldByOurs())
      if (held instanceof GpuHold) return { hold: held, gpus: same.filter(({ uuid }) => held.uuids.includes(uuid)) }
      const holders = uuids.flatMap((uuid) => held.get(uuid) ?? [])
      if (holders.includes(name)) return 'taken_for_it'
      const living = await this.#living()
      const isEnding = (holder: string) => holder.startsWith(this.#prefix) && !living.has(holder)
      if (!holders.some(isEnding) || performance.now() > deadline)
        return { why: whyNotFree(offer, same.length, holders, this.#prefix) }
      await pause(50)
    }
  }

  /** Also where what is left of a machine has not inherited the hold, or forgot it. */
  async #heldByOurs(): Promise<GpuHolders> {
    const machines = [...(await this.#living()).keys()]
    const held = await Promise.all(
      machines.map(async (name) => (await this.#gpusOf(name)).map((uuid) => [uuid, name] as const)),
    )
    return new Map(held.flat())
  }

  /** The UUIDs of what the machine was given; one that needs no GPU has none. */
  async #gpusOf(name: string): Promise<string[]> {
    const text = await readFile(join(this.#dirOf(name), gpusFile), 'utf8').catch(() => '')
    return text.split('\n').filter(Boolean)
  }

  async #start(ask: MachineAsk, { hold, gpus }: Given): Promise<void> {
    const { controlUrl, agentFile, loopFile, nodeBin, env } = this.#options
    const dir = this.#dirOf(ask.name)
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const tokenFile = join(dir, 'join-token')
    await writeFile(tokenFile, ask.joinToken, { mode: 0o600 })
    await writeFile(join(dir, gpusFile), hold.uuids.join('\n'))
    const told = {
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
      ...cudaWords(gpus),
    }
    await runDetached(loopFile, dir, told, hold.fds)
  }
}

function refused(cause: string): AskAnswer {
  return { accepted: false, refusal: failureRecord('no_capacity', cause) }
}

function whyNotFree({ gpu, gpuCount }: Offer, total: number, holders: readonly string[], prefix: string): string {
  const others = holders.filter((holder) => !holder.startsWith(prefix))
  const ours = holders.length - others.length
  const told = [
    ...(ours > 0 ? [`machines of this install hold ${ours}`] : []),
    ...(others.length > 0 ? [`another install on this host holds ${others.length} (${others.join(', ')})`] : []),
  ]
  return `${gpuCount} x ${gpu} are not free on this host: of ${total}, ${told.join(' and ') || 'none is held'}.`
}

/**
 * By index, as the command may be an older vLLM's: 0.20 dies of a UUID here, 0.32 takes one (seen in its source). In the
 * order that nvidia-smi counts in: CUDA's own puts the fastest GPU first.
 */
function cudaWords(gpus: readonly HostGpu[]): Record<string, string> {
  if (gpus.length === 0) return {}
  return {
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    CUDA_VISIBLE_DEVICES: gpus.map(({ index }) => index).join(','),
    [heldGpusVariable]: gpus.map(({ uuid }) => uuid).join(','),
  }
}

/** The machine outlives this process. Its loop holds a lock, so a second one under the same name ends at once. */
async function runDetached(
  loopFile: string,
  dir: string,
  env: Record<string, string>,
  kept: readonly number[],
): Promise<void> {
  const log = await open(join(dir, 'agent.log'), 'a', 0o600)
  try {
    const between = Array<'ignore'>(firstHeldGpuFd - 3).fill('ignore')
    const stdio = ['ignore' as const, log.fd, log.fd, ...(kept.length > 0 ? [...between, ...kept] : [])]
    const child = spawn('/bin/sh', [loopFile], { detached: true, cwd: dir, stdio, env })
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

/** What processes of this host may use, within the group that it gave us. */
function hostMemoryGib(): number {
  const within = process.constrainedMemory()
  return Math.floor((within > 0 ? Math.min(within, totalmem()) : totalmem()) / 2 ** 30)
}

/** Each kind of GPU in ones, twos, ... and all of them; a host without GPUs offers machines without one. */
export function localOffers(
  gpus: readonly HostGpu[],
  options: Pick<LocalCloudOptions, 'name' | 'pricePerHourMicroUsd' | 'maxMachines'>,
  held: GpuHolders,
  memoryGib = hostMemoryGib(),
): Offer[] {
  const { name: cloud, pricePerHourMicroUsd, maxMachines } = options
  const base = { cloud, region: 'here', spot: false }
  if (gpus.length === 0) {
    const none = { gpu: null, gpuCount: 0, vramGib: 0, pricePerHourMicroUsd, available: maxMachines, memoryGib }
    return [{ ...base, id: `${cloud}/here/cpu`, ...none }]
  }
  const kinds = gpuKinds(gpus)
  return kinds.flatMap(({ name, vramGib, gpus }) => {
    const isNamesake = kinds.filter((kind) => kind.name === name).length > 1
    const id = `${cloud}/here/${name.replaceAll(' ', '-')}${isNamesake ? `-${vramGib}GiB` : ''}`
    const free = gpus.filter(({ uuid }) => !held.has(uuid)).length
    return gpus.map((_, i) => ({
      ...base,
      id: `${id}x${i + 1}`,
      gpu: name,
      gpuCount: i + 1,
      vramGib,
      pricePerHourMicroUsd: pricePerHourMicroUsd * (i + 1),
      available: Math.floor(free / (i + 1)),
    }))
  })
}

/** What a process of a machine may know of our environment: where programs are, never our own configuration. */
function inherited(): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TMPDIR', 'USER', 'LD_LIBRARY_PATH']
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name] as string]] : [])))
}

/** Where its loop was killed, nobody else takes them away. The log of an engine that had none stays: people read it. */
async function forgetSecrets(dir: string): Promise<void> {
  const secrets = await readFile(join(dir, 'secrets.json'), 'utf8').catch(() => '{}')
  if (secrets !== '{}') await rm(join(dir, 'engine.log'), { force: true })
  for (const file of ['secrets.json', 'credential.json', 'join-token']) await rm(join(dir, file), { force: true })
}

const endAskedFile = 'end-asked-at'
const gpusFile = 'gpus'
// A guess: the kernel frees what a process held a moment after its name is gone.
const endedMs = 1_000

/** When the end of this machine was first asked for; kept on disk, so that a restart does not begin its grace anew. */
async function endAskedAt(dir: string, now: number): Promise<number> {
  const file = join(dir, endAskedFile)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await writeFile(file, String(now), { flag: 'wx' }).catch(() => undefined)
  return Number(await readFile(file, 'utf8')) || now
}
