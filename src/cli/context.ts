import type { Client } from '../wire/client.ts'
import type { Connection } from './connection.ts'
import type { ExitCode } from './exit.ts'
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

/** From here on Ctrl-C ends the watching instead of the process; a second one ends the process as usual. */
export function untilInterrupted(): { signal: AbortSignal; done: () => void } {
  const controller = new AbortController()
  const stop = () => {
    controller.abort()
    done()
  }
  const done = () => {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return { signal: controller.signal, done }
}
