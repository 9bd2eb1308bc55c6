import type { Client } from '../wire/client.ts'
import type { Connection } from './connection.ts'
import type { Terminal } from './terminal.ts'

/** What every command gets: where it talks to, and where it speaks. */
export interface Context {
  readonly connection: Connection
  readonly client: Client
  readonly terminal: Terminal
  /** One JSON document (or one for each line of a stream) instead of text. */
  readonly json: boolean
}

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
