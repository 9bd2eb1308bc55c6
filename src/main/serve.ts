import { untilInterrupted } from '../cli/context.ts'
import { CliFailure, exitCodes } from '../cli/exit.ts'
import type { UpFlags } from '../cli/program.ts'
import { outliveReaders, type Terminal } from '../cli/terminal.ts'
import { whyNotStarted } from './cannot-start.ts'

/** `flightdeck up`: runs until a signal, then stops in order. A second Ctrl-C does not wait. */
export async function serveUntilStopped(flags: UpFlags, terminal: Terminal, json: boolean): Promise<void> {
  outliveReaders()
  const { up } = await import('./up.ts')
  const say = (line: string) => (json ? terminal.err : terminal.out)(`${line}\n`)
  const { signal } = untilInterrupted()
  const asked = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  signal.addEventListener('abort', () => say('Stopping; a second Ctrl-C does not wait.'))
  const running = await up({ ...flags, say, signal }).catch((error: unknown) => {
    if (signal.aborted) return null
    throw new CliFailure(whyNotStarted(error), exitCodes.failed)
  })
  if (!running) return
  const { url, gatewayUrl, adminToken, install } = running
  if (json) terminal.out(`${JSON.stringify({ event: 'ready', url, gatewayUrl, adminToken, install })}\n`)
  await asked
  await running.stop()
}
