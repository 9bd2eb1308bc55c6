import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Plane } from './plane.ts'

// The usual times, scaled: an engine that hangs without a word is found after two minutes with those.
const times = { PROBE_MS: 1_000, BAD_PROBE_MS: 500, TOKEN_PROBE_MS: 2_000, TOKEN_TIMEOUT_MS: 4_000 }

/** The gateway of a plane that was started without one, which asks engines far more often. Returns what ends it. */
export function startQuickGateway(plane: Plane): () => Promise<void> {
  const set = Object.entries(times).map(([name, ms]) => [`FLIGHTDECK_GATEWAY_${name}`, String(ms)])
  const main = join(import.meta.dirname, '../../src/main/gateway.ts')
  const gateway = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main], {
    stdio: 'ignore',
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      FLIGHTDECK_GATEWAY_LISTEN: `127.0.0.1:${plane.gatewayPort}`,
      FLIGHTDECK_CONTROL_URL: plane.url,
      FLIGHTDECK_GATEWAY_TOKEN_FILE: join(plane.dir, 'gateway.token'),
      FLIGHTDECK_GATEWAY_DIR: join(plane.dir, 'gateway'),
      FLIGHTDECK_GATEWAY_URL: plane.gatewayUrl,
      ...Object.fromEntries(set),
    },
  })
  return async () => {
    if (gateway.kill('SIGKILL')) await once(gateway, 'exit')
  }
}
