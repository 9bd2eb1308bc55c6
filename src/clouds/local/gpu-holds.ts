import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { pause } from '../../lib/clock.ts'
import { codeOf } from '../../lib/error-code.ts'

/** Which machine holds which GPU, by UUID. */
export type GpuHolders = ReadonlyMap<string, string>

/**
 * GPUs that are held for a machine: for each a socket with a name in Linux's abstract namespace, which everybody on the
 * host can read, whatever install or user. A process that inherits the descriptors holds them too. The kernel frees a name
 * with the last of them, so nothing is left to clean up wherever anybody dies.
 */
export class GpuHold {
  readonly uuids: readonly string[]
  readonly #sockets: readonly Server[]

  constructor(uuids: readonly string[], sockets: readonly Server[]) {
    this.uuids = uuids
    this.#sockets = sockets
  }

  /** To be inherited. Node has no word for a server's descriptor; this one has had its name for as long as libuv. */
  get fds(): number[] {
    return this.#sockets.map((socket) => (socket as unknown as { _handle: { fd: number } })._handle.fd)
  }

  /** Ends our part of it; whoever inherited it keeps it. */
  async release(): Promise<void> {
    await Promise.all(this.#sockets.map(close))
  }
}

const gpuName = (uuid: string, machine: string): string => `flightdeck/gpu/${uuid}/${machine}`
const heldName = / @flightdeck\/gpu\/([^/\s]+)\/(\S+)$/
/** One socket can have it: whoever does is the only one on this host who chooses. */
const turnName = 'flightdeck/gpus'
// A guess: choosing takes milliseconds, so whoever takes this long was stopped in the middle of it.
const turnLimitMs = 5_000

/** What is held on this host now, by whomever. Processes in a network namespace of their own are another host. */
export async function gpuHolders(): Promise<Map<string, string>> {
  const lines = (await readFile('/proc/net/unix', 'utf8')).split('\n')
  const found = lines.map((line) => heldName.exec(line))
  return new Map(found.flatMap((one) => (one?.[1] && one[2] ? [[one[1], one[2]] as const] : [])))
}

/**
 * Holds the first `count` of these GPUs that are free for the machine, or none at all: then it tells who holds them.
 * One at a time on this host chooses. @throws where another does not finish choosing.
 */
export async function holdGpus(
  machine: string,
  uuids: readonly string[],
  count: number,
  known: GpuHolders,
): Promise<GpuHold | GpuHolders> {
  const turn = await takeTurn()
  try {
    const holders = new Map([...known, ...(await gpuHolders())])
    const free = uuids.filter((uuid) => !holders.has(uuid)).slice(0, count)
    if (free.length < count) return holders
    return await holdAll(machine, free)
  } finally {
    await close(turn)
  }
}

async function holdAll(machine: string, uuids: readonly string[]): Promise<GpuHold> {
  const sockets: Server[] = []
  try {
    for (const uuid of uuids) sockets.push(await bind(gpuName(uuid, machine)))
  } catch (error) {
    await Promise.all(sockets.map(close))
    throw error
  }
  return new GpuHold(uuids, sockets)
}

async function takeTurn(): Promise<Server> {
  const deadline = performance.now() + turnLimitMs
  for (;;) {
    try {
      return await bind(turnName)
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE') throw error
      if (performance.now() > deadline)
        throw new Error('Another control plane on this host does not finish choosing its GPUs.', { cause: error })
      await pause(10)
    }
  }
}

function bind(name: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    // Nobody has anything to say here.
    const server = createServer((socket) => socket.destroy())
    server.once('error', reject)
    server.listen({ path: `\0${name}` }, () => resolve(server))
  })
}

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()))
