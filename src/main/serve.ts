import { CliFailure, exitCodes } from '../cli/exit.ts'
import type { UpFlags } from '../cli/program.ts'
import type { Terminal } from '../cli/terminal.ts'
import { whyNotStarted } from './cannot-start.ts'

/** `flightdeck up`: runs until a signal, then stops in order. A second signal does not wait. */
export async function serveUntilStopped(flags: UpFlags, terminal: Terminal, json: boolean): Promise<void> {
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
  const asked = new Promise<void>((resolve) => {
    const told = () => {
      // The first of either: from now on both do what they do by themselves.
      for (const name of signals) process.off(name, told)
      tell()
      stop.abort()
      resolve()
    }
    for (const name of signals) process.on(name, told)
  })
  return { signal: stop.signal, asked }
}

// A terminal that is closed says SIGHUP.
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
