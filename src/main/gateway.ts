import { ConfigRefused, readConfig } from '../gateway/config.ts'
import { startGateway } from '../gateway/start.ts'
import { makeLog } from '../lib/log.ts'
import { trustAlso } from '../lib/own-authorities.ts'
import { TrustError } from '../lib/trust.ts'

const log = makeLog('gateway')

async function main(): Promise<void> {
  const config = readConfig(process.env)
  await trustAlso(process.env.FLIGHTDECK_CA, config.controlUrl)
  const running = await startGateway(config, log)
  let stopping = false
  const stop = () => {
    if (stopping) return
    stopping = true
    running.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'The gateway did not stop as it should.')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  // One stray fault must not end every stream that runs; each request's own faults are contained where they happen.
  process.on('uncaughtException', (error) => log.error({ err: error }, 'An error that nothing caught.'))
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'A rejection that nothing caught.'))
  process.stdout.write(`${JSON.stringify({ ready: true, port: running.port, pid: process.pid })}\n`)
}

main().catch((error: unknown) => {
  if (error instanceof ConfigRefused || error instanceof TrustError) process.stderr.write(`${error.message}\n`)
  else log.fatal({ err: error }, 'The gateway could not start.')
  process.exit(1)
})
