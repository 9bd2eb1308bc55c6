// Entry points: each file here wires one program together. This one is the agent, bundled for GPU machines.
// Deliberately absent: logic.
import { runAgent } from '../agent/agent.ts'
import { readSettings, SettingsError } from '../agent/settings.ts'
import { endedForGood } from '../agent/tenure.ts'
import { version } from '../core/version.ts'

const usage = 'Usage: agent.cjs [run | --version]. Everything else comes from the environment (FLIGHTDECK_*).'

async function main([command = 'run']: readonly string[]): Promise<number> {
  if (command === '--version') {
    console.log(version)
    return 0
  }
  if (command !== 'run') {
    console.error(usage)
    return 2
  }
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => stop.abort())
  try {
    return await runAgent(readSettings(process.env), stop.signal)
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    console.error(error.message)
    // Starting it again changes no setting.
    return endedForGood
  }
}

// The engine, timers and lent sockets must not keep a process that is done; nothing is left to be written.
void main(process.argv.slice(2)).then((code) => process.exit(code))
