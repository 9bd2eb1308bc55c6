import { CliFailure, exitCodes } from '../cli/exit.ts'
import { runCli } from '../cli/program.ts'
import { processTerminal } from '../cli/terminal.ts'
import { failureRecord } from '../core/failure.ts'
import { trustAlso } from '../lib/own-authorities.ts'
import { serveUntilStopped } from './serve.ts'

// `flightdeck logs NODE | head` closes the pipe; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok)
  throw error
})

// A control plane that accepts and never answers must not hold a script for ever; a guess well above any real answer.
const answerLimitMs = 30_000
const inTime: typeof fetch = (to, init) => fetch(to, { ...init, signal: AbortSignal.timeout(answerLimitMs) })

const caRemedy =
  'Set FLIGHTDECK_CA to the authority.pem of the control plane, or to the sha256 that `flightdeck up` prints.'

process.exitCode = await runCli(process.argv.slice(2), {
  terminal: processTerminal(),
  env: process.env,
  // Loaded late: help and mistakes should not wait for schemas and servers.
  makeClient: async (connection) => {
    await trustAlso(process.env.FLIGHTDECK_CA, connection.url).catch((error: unknown) => {
      throw new CliFailure(failureRecord('bad_request', String(error), { remedy: caRemedy }), exitCodes.usage)
    })
    return (await import('../wire/client.ts')).makeClient({ ...connection, fetch: inTime })
  },
  up: serveUntilStopped,
})
