import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

// A guess: far longer than a spawn takes, far shorter than anybody waits for a place.
const startingMs = 10_000

/**
 * Numbered places for machines, each for one. One file for each, made with O_EXCL, holding the machine's name. Control
 * planes of one install on this host share the folder; the file system decides.
 */
export class Book {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Which machine holds which number. */
  async held(): Promise<Map<number, string>> {
    await mkdir(this.#folder, { recursive: true })
    const entries = await readdir(this.#folder)
    const names = await Promise.all(entries.map((entry) => readFile(this.#file(Number(entry)), 'utf8').catch(() => '')))
    return new Map(entries.map((entry, i) => [Number(entry), names[i] ?? '']))
  }

  /** Takes `count` of these numbers for the machine, or none at all; what it already holds counts. */
  async take(machine: string, numbers: readonly number[], count: number): Promise<number[] | null> {
    const book = await this.held()
    let missing = count - [...book.values()].filter((holder) => holder === machine).length
    for (const number of numbers.filter((number) => !book.has(number))) {
      if (missing <= 0) break
      if (await this.#claim(number, machine)) missing -= 1
    }
    // Read again: another control plane may have taken some for the same machine. Both then keep the same ones.
    const now = await this.held()
    const mine = numbers.filter((number) => now.get(number) === machine)
    const keep = mine.length >= count ? mine.slice(0, count) : []
    await Promise.all(mine.filter((number) => !keep.includes(number)).map((number) => this.#free(number)))
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
    for (const [number, machine] of await this.held()) {
      if (living.has(machine)) continue
      const takenAt = await stat(this.#file(number)).then(
        ({ mtimeMs }) => mtimeMs,
        () => now,
      )
      if (wasToldToEnd(machine) || now - takenAt > startingMs) await this.#free(number)
    }
  }

  /** All that the machine holds. */
  async giveBack(machine: string): Promise<void> {
    for (const [number, holder] of await this.held()) if (holder === machine) await this.#free(number)
  }

  #free(number: number): Promise<void> {
    return rm(this.#file(number), { force: true })
  }

  #file(number: number): string {
    return join(this.#folder, String(number))
  }

  #claim(number: number, machine: string): Promise<boolean> {
    return writeFile(this.#file(number), machine, { flag: 'wx' }).then(
      () => true,
      () => false,
    )
  }
}
