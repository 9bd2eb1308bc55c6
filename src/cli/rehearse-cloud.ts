import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { failureRecord } from '../core/failure.ts'
import { projectRoot } from './connection.ts'
import { CliFailure, exitCodes } from './exit.ts'

/** A cloud whose machines are processes of this host, and which does as it is told. */
export interface RehearsalCloud {
  /** Of its API server. */
  readonly url: string
  /** Takes that machine back, two minutes from now, or takes that back. */
  notice(name: string, stands: boolean): void
  /** Answers nobody. */
  away(away: boolean): void
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
  const order = (of: object) => void child.stdin.write(`${JSON.stringify(of)}\n`)
  return {
    url: await urlOf(child),
    notice: (name, stands) => order({ notice: { name, stands } }),
    away: (away) => order({ away }),
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
