import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface HostGpu {
  readonly index: number
  readonly name: string
  readonly memoryMib: number
}

/** The GPUs of this host as nvidia-smi lists them; none where it is absent or fails. */
export function hostGpus(): Promise<HostGpu[]> {
  const query = ['--query-gpu=index,name,memory.total', '--format=csv,noheader,nounits']
  return new Promise((resolve) => {
    execFile('nvidia-smi', query, { timeout: 5_000 }, (error, stdout) => resolve(error ? [] : parseGpus(stdout)))
  })
}

export function parseGpus(csv: string): HostGpu[] {
  return csv
    .split('\n')
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .filter(([index, name, memory]) => index !== undefined && name && Number(memory) > 0)
    .map(([index, name, memory]) => ({ index: Number(index), name: name ?? '', memoryMib: Number(memory) }))
}

/**
 * GPUs given out exclusively: one file for each GPU, made with O_EXCL, holding the machine's name. Two control planes
 * on one host share the folder, so the file system is the referee.
 */
export function gpuBook(folder: string) {
  const file = (index: number) => join(folder, String(index))

  async function held(): Promise<Map<number, string>> {
    await mkdir(folder, { recursive: true })
    const entries = await readdir(folder)
    const pairs = await Promise.all(
      entries.map(
        async (entry) => [Number(entry), await readFile(file(Number(entry)), 'utf8').catch(() => '')] as const,
      ),
    )
    return new Map(pairs)
  }

  /** Takes `count` GPUs for the machine, or none at all; what it already holds counts. */
  async function take(machine: string, gpus: readonly HostGpu[], count: number): Promise<number[] | null> {
    const book = await held()
    const mine = gpus.filter(({ index }) => book.get(index) === machine).map(({ index }) => index)
    const taken: number[] = []
    for (const { index } of gpus) {
      if (mine.length + taken.length >= count) break
      if (book.has(index)) continue
      if (await claim(file(index), machine)) taken.push(index)
    }
    if (mine.length + taken.length >= count) return [...mine, ...taken].slice(0, count)
    await Promise.all(taken.map((index) => rm(file(index), { force: true })))
    return null
  }

  /** Frees what machines hold that have no process any more. A machine that is just starting is on the `keep` list. */
  async function freeAllBut(keep: ReadonlySet<string>): Promise<void> {
    for (const [index, machine] of await held()) {
      if (!keep.has(machine)) await rm(file(index), { force: true })
    }
  }

  return { take, held, freeAllBut }
}

async function claim(path: string, machine: string): Promise<boolean> {
  return writeFile(path, machine, { flag: 'wx' }).then(
    () => true,
    () => false,
  )
}
