import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Plane, until } from './plane.ts'

/** The wall clock of a control plane's process, which a test sets; that of everybody else stays right. */
export class PlaneClock {
  readonly #dir = mkdtempSync(join(tmpdir(), 'fd-clock-'))
  #wrongByMs = 0
  #passedMs = 0

  constructor() {
    this.set(0)
  }

  /** For the plane that it is the clock of. */
  get nodeArgs(): string[] {
    const module = pathToFileURL(join(import.meta.dirname, 'shifted-clock.ts'))
    module.searchParams.set('file', this.#file)
    return ['--import', module.href]
  }

  get #file(): string {
    return join(this.#dir, 'wrong-by-ms')
  }

  /** By how much it is ahead of ours. */
  get aheadMs(): number {
    return this.#wrongByMs + this.#passedMs
  }

  /** What the process is told from its next start on. */
  set(wrongByMs: number): void {
    this.#wrongByMs = wrongByMs
    this.#keep()
  }

  #keep(): void {
    writeFileSync(this.#file, JSON.stringify({ wrongByMs: this.#wrongByMs, passedMs: this.#passedMs }))
  }

  /** Sets it while the process runs, and waits until each of the loops has passed by the new time. */
  async jumpTo(plane: Plane, wrongByMs: number, loops: readonly string[]): Promise<void> {
    this.set(wrongByMs)
    await this.#tell(plane, loops)
  }

  /** Lets time pass for the process alone, which its monotonic clock counts, too, and waits as long. */
  async pass(plane: Plane, ms: number, loops: readonly string[]): Promise<void> {
    this.#passedMs += ms
    this.#keep()
    await this.#tell(plane, loops)
  }

  async #tell(plane: Plane, loops: readonly string[]): Promise<void> {
    const from = Date.now() + this.aheadMs
    await plane.signal('SIGUSR2')
    await this.passes(plane, loops, from)
  }

  /** Until each of the loops has made a pass later than the moment on this clock. */
  async passes(plane: Plane, loops: readonly string[], from = Date.now() + this.aheadMs): Promise<void> {
    let last = ''
    const passed = async () => {
      const status = await plane.client.status()
      last = JSON.stringify(status.loops.map(({ loop, lastPassAt }) => [loop, lastPassAt]))
      // Not what was said by a clock that was ahead.
      const isNew = (at: string | null) => Date.parse(at ?? '') >= from && Date.parse(at ?? '') < from + 600_000
      return loops.every((name) => status.loops.some(({ loop, lastPassAt }) => loop === name && isNew(lastPassAt)))
    }
    await until(passed, 60_000, () => `not all of ${loops.join()} pass: ${last}`)
  }

  end(): void {
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
