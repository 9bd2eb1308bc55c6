import type { UpFlags } from '../cli/program.ts'
import type { Terminal } from '../cli/terminal.ts'

/** `flightdeck up`: runs until a signal, then stops in order. A second signal does not wait. */
export async function serveUntilStopped(flags: UpFlags, terminal: Terminal, json: boolean): Promise<void> {
  const { up } = await import('./up.ts')
  const asked = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  const say = (line: string) => (json ? terminal.err : terminal.out)(`${line}\n`)
  const running = await up({ ...flags, say })
  const { url, gatewayUrl, adminToken, install } = running
  if (json) terminal.out(`${JSON.stringify({ event: 'ready', url, gatewayUrl, adminToken, install })}\n`)
  await asked
  say('Stopping.')
  await running.stop()
}
