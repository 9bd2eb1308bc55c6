import type { Client } from '../wire/client.ts'
import type { Connection } from './connection.ts'
import { type ExitCode, exitCodes } from './exit.ts'
import type { Terminal } from './terminal.ts'

/** What every command gets: where it talks to, and where it speaks. */
export interface Context {
  readonly connection: Connection
  readonly client: Client
  readonly terminal: Terminal
  /** One JSON document (or one for each line of a stream) instead of text. */
  readonly json: boolean
}

/** What a command does; it returns the exit code, or nothing for 0. */
export type Run<A extends unknown[]> = (context: Context, ...given: A) => Promise<ExitCode> | Promise<void>

/** Makes a command's action of a function that gets the context first. */
export type Act = <A extends unknown[]>(run: Run<A>) => (...given: unknown[]) => Promise<void>

/** Prints an answer: the document itself for scripts, a picture of it for people. */
export function answer<T>({ json, terminal }: Context, value: T, text: (value: T) => string): void {
  terminal.out(json ? `${JSON.stringify(value)}\n` : text(value))
}

// Terminal, service manager and npm hand on one order within milliseconds of each other; nobody repeats one that fast.
const sameOrderMs = 1_000

/**
 * From here on a signal ends what is watched or was started, instead of the process; a terminal that is closed says
 * SIGHUP. The same order may come several times, from above us and through npm. A later Ctrl-C does not wait.
 */
export function untilInterrupted(): { signal: AbortSignal; done: () => void } {
  const controller = new AbortController()
  let toldAt = 0
  const told = (name: NodeJS.Signals) => {
    if (!controller.signal.aborted) {
      toldAt = performance.now()
      controller.abort()
    } else if (name === 'SIGINT' && performance.now() - toldAt > sameOrderMs) process.exit(exitCodes.interrupted)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of signals) process.on(name, told)
  const done = () => {
    for (const name of signals) process.off(name, told)
  }
  return { signal: controller.signal, done }
}
