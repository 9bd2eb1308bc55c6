import { CliFailure, exitCodes } from '../cli/exit.ts'
import type { UpFlags } from '../cli/program.ts'
import type { Terminal } from '../cli/terminal.ts'
import { failureRecord } from '../core/failure.ts'

/** `flightdeck up`: runs until a signal, then stops in order. A second signal does not wait. */
export async function serveUntilStopped(flags: UpFlags, terminal: Terminal, json: boolean): Promise<void> {
  const { up } = await import('./up.ts')
  const asked = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  const say = (line: string) => (json ? terminal.err : terminal.out)(`${line}\n`)
  const running = await up({ ...flags, say }).catch((error: unknown) => {
    const cause = error instanceof Error ? error.message : String(error)
    const remedy = 'Correct what is named and start it again.'
    throw new CliFailure(failureRecord('internal', cause, { remedy }), exitCodes.failed)
  })
  const { url, gatewayUrl, adminToken, install } = running
  if (json) terminal.out(`${JSON.stringify({ event: 'ready', url, gatewayUrl, adminToken, install })}\n`)
  await asked
  say('Stopping.')
  await running.stop()
}
