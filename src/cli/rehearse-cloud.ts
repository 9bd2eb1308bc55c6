import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { failureRecord } from '../core/failure.ts'
import { projectRoot } from './connection.ts'
import { CliFailure, exitCodes } from './exit.ts'

/** One line of what the cloud's process is told, as JSON. */
export interface CloudOrder {
  /** That machine is taken back two minutes from now, or no more; the time that is named may slide with each look. */
  readonly notice?: { readonly name: string; readonly stands: boolean; readonly slides: boolean }
  /** The API answers nobody. */
  readonly away?: boolean
  /** Machines that it lists no more, although they run. */
  readonly unlisted?: readonly string[]
}

/** A cloud whose machines are processes of this host, and which does as it is told. */
export interface RehearsalCloud {
  /** Of its API server. */
  readonly url: string
  order(of: CloudOrder): void
  end(): Promise<void>
}

/** `most`: how many machines it can tell of their end. */
export async function startRehearsalCloud(most: number): Promise<RehearsalCloud> {
  const words = [
    '--disable-warning=ExperimentalWarning',
    join(projectRoot, 'src/main/rehearsal-cloud.ts'),
    String(most),
  ]
  // A group of its own: Ctrl-C ends the rehearsal, and the rehearsal ends this in order.
  const child = spawn(process.execPath, words, { detached: true, stdio: ['pipe', 'pipe', 'inherit'] })
  return {
    url: await urlOf(child),
    order: (of) => void child.stdin.write(`${JSON.stringify(of)}\n`),
    async end() {
      const ended = once(child, 'exit')
      child.stdin.end()
      if (child.exitCode === null && child.signalCode === null) await ended
    },
  }
}

async function urlOf(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the simulated cloud has no standard output')
  for await (const line of createInterface({ input: child.stdout })) return (JSON.parse(line) as { url: string }).url
  throw new CliFailure(failureRecord('internal', 'The simulated cloud ended before it was ready.'), exitCodes.failed)
}
