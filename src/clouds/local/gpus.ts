import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
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

// A guess: far longer than a spawn takes, far shorter than anybody waits for a GPU.
const startingMs = 10_000

/**
 * GPUs given out exclusively: one file for each GPU, made with O_EXCL, holding the machine's name. Two control planes
 * on one host share the folder, so the file system is the referee.
 */
export class GpuBook {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Which machine holds which GPU. */
  async held(): Promise<Map<number, string>> {
    await mkdir(this.#folder, { recursive: true })
    const entries = await readdir(this.#folder)
    const names = await Promise.all(entries.map((entry) => readFile(this.#file(Number(entry)), 'utf8').catch(() => '')))
    return new Map(entries.map((entry, i) => [Number(entry), names[i] ?? '']))
  }

  /** Takes `count` GPUs for the machine, or none at all; what it already holds counts. */
  async take(machine: string, gpus: readonly HostGpu[], count: number): Promise<number[] | null> {
    const book = await this.held()
    let missing = count - [...book.values()].filter((holder) => holder === machine).length
    for (const { index } of gpus.filter((gpu) => !book.has(gpu.index))) {
      if (missing <= 0) break
      if (await this.#claim(index, machine)) missing -= 1
    }
    // Read again: another control plane may have taken GPUs for the same machine. Both then keep the same ones.
    const now = await this.held()
    const mine = gpus.map(({ index }) => index).filter((index) => now.get(index) === machine)
    const keep = mine.length >= count ? mine.slice(0, count) : []
    await Promise.all(mine.filter((index) => !keep.includes(index)).map((index) => this.#free(index)))
    return keep.length >= count ? keep : null
  }

  /**
   * Frees what machines without a process hold. One taken a moment ago may not have its process yet: it stays, unless
   * the machine was told to end.
   */
  async freeAllBut(
    living: ReadonlySet<string>,
    wasToldToEnd: (machine: string) => boolean,
    now: number,
  ): Promise<void> {
    for (const [index, machine] of await this.held()) {
      if (living.has(machine)) continue
      const takenAt = await stat(this.#file(index)).then(
        ({ mtimeMs }) => mtimeMs,
        () => now,
      )
      if (wasToldToEnd(machine) || now - takenAt > startingMs) await this.#free(index)
    }
  }

  #free(index: number): Promise<void> {
    return rm(this.#file(index), { force: true })
  }

  #file(index: number): string {
    return join(this.#folder, String(index))
  }

  #claim(index: number, machine: string): Promise<boolean> {
    return writeFile(this.#file(index), machine, { flag: 'wx' }).then(
      () => true,
      () => false,
    )
  }
}
