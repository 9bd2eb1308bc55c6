import { CliFailure, exitCodes } from '../cli/exit.ts'
import type { UpFlags } from '../cli/program.ts'
import type { Terminal } from '../cli/terminal.ts'
import { whyNotStarted } from './cannot-start.ts'

/** `flightdeck up`: runs until a signal, then stops in order. A second Ctrl-C does not wait. */
export async function serveUntilStopped(flags: UpFlags, terminal: Terminal, json: boolean): Promise<void> {
  outliveReaders()
  const { up } = await import('./up.ts')
  const say = (line: string) => (json ? terminal.err : terminal.out)(`${line}\n`)
  const { signal, asked } = toldToStop(() => say('Stopping; a second Ctrl-C does not wait.'))
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

function toldToStop(tell: () => void): { signal: AbortSignal; asked: Promise<void> } {
  const stop = new AbortController()
  let toldAt = 0
  const asked = new Promise<void>((resolve) => {
    const told = (name: NodeJS.Signals) => {
      if (stop.signal.aborted) {
        // Within a moment it is the same order: a terminal or a service manager tells us, and so does npm above us.
        if (name === 'SIGINT' && performance.now() - toldAt > 1_000) process.exit(exitCodes.interrupted)
        return
      }
      toldAt = performance.now()
      tell()
      stop.abort()
      resolve()
    }
    // A terminal that is closed says SIGHUP.
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, told)
  })
  return { signal: stop.signal, asked }
}

/** Whoever reads what we say may leave before us: a closed terminal, a pipe into `head`. We go on, or stop in order. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error')
    stream.on('error', () => undefined)
  }
}
