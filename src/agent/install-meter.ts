import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { expectWord } from '../core/stage.ts'

/** What a stage has put on the disk so far, and how fast it came lately. */
export interface Size {
  readonly bytes: number
  readonly bytesPerS: number
}

export interface Measured {
  readonly percent: number | null
  readonly size: Size | null
}

const mib = 1024 * 1024

/** Bytes on the disk below these folders; a file with two names counts once. Null where it cannot be told. */
export function bytesBelow(paths: readonly string[]): Promise<number | null> {
  const there = paths.filter((path) => existsSync(path))
  if (there.length === 0) return Promise.resolve(0)
  return new Promise((resolve) => {
    // Files come and go while they are counted: then du complains, and what it says is right all the same.
    execFile('du', ['-sk', ...there], { timeout: 60_000, killSignal: 'SIGKILL' }, (_, stdout) => {
      const sizes = stdout.split('\n').flatMap((line) => /^(\d+)\s/.exec(line)?.[1] ?? [])
      resolve(sizes.length === 0 ? null : 1_024 * sizes.reduce((sum, kib) => sum + Number(kib), 0))
    })
  })
}

export async function freeMibAt(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return Math.floor((bavail * bsize) / mib)
}

// Long enough that one large file which is moved into place does not look like a burst.
const windowMs = 5_000

/** Size and speed of one stage, from the folders that it fills, and what its own lines say of the whole. */
export class Meter {
  readonly #beganAt: number
  readonly #packages = new Map<string, number>()
  readonly #downloaded = new Set<string>()
  #samples: { readonly at: number; readonly bytes: number }[] = []
  #expected: number | null = null

  constructor(now: number) {
    this.#beganAt = now
    this.#samples = [{ at: now, bytes: 0 }]
  }

  /** How many bytes the command said that it would fetch. */
  get expected(): number | null {
    return this.#expected
  }

  /** A line of the command: how much it will fetch in all, or a package of uv's that is on its way or has come. */
  line(text: string): void {
    if (text.startsWith(expectWord)) this.#expected = Number(text.slice(expectWord.length)) || null
    const coming = /^Downloading (\S+) \(([\d.]+)([KMG]i)B\)/.exec(text)
    if (coming) this.#packages.set(coming[1] ?? '', Number(coming[2]) * (units[coming[3] ?? ''] ?? 0))
    const come = /^\s*Downloaded (\S+)/.exec(text)
    if (come) this.#downloaded.add(come[1] ?? '')
  }

  sample(bytes: number, now: number): void {
    this.#samples.push({ at: now, bytes: Math.max(0, bytes) })
    while (this.#samples.length > 2 && (this.#samples[1]?.at ?? now) < now - windowMs) this.#samples.shift()
  }

  read(): Measured {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (!first || !last || this.#samples.length < 2) return { percent: this.#percent(0), size: null }
    const bytesPerS = Math.max(0, rate(last.bytes - first.bytes, last.at - first.at))
    return { percent: this.#percent(last.bytes), size: { bytes: last.bytes, bytesPerS } }
  }

  /** Over all of the stage, once it is done. */
  total(bytes: number, now: number): Measured {
    return {
      percent: 100,
      size: { bytes: Math.max(0, bytes), bytesPerS: rate(Math.max(0, bytes), now - this.#beganAt) },
    }
  }

  /** Of bytes that were announced; null where nobody said how many there will be. Never 100 before the command ends. */
  #percent(onDisk: number): number | null {
    const whole = this.#expected ?? sum(this.#packages.values())
    if (whole <= 0) return null
    const done =
      this.#expected === null
        ? sum([...this.#packages].map(([name, bytes]) => (this.#downloaded.has(name) ? bytes : 0)))
        : onDisk
    return Math.min(99, Math.floor((100 * done) / whole))
  }
}

const units: Readonly<Record<string, number>> = { Ki: 1_024, Mi: mib, Gi: 1_024 * mib }
const sum = (numbers: Iterable<number>): number => [...numbers].reduce((all, one) => all + one, 0)
const rate = (bytes: number, ms: number): number => Math.round((1_000 * bytes) / Math.max(1, ms))
