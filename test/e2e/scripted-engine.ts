import { runSimEngine } from '../../src/sim/engine.ts'
import { parseArguments } from '../../src/sim/engine-options.ts'

// The "model" that this engine is told to load is the script of what it does: options of the simulated engine, as JSON.
const [script = '{}', ...rest] = process.argv.slice(2)
const { options, unknown } = parseArguments(['scripted', '--sim', script, ...rest], process.env)
process.exitCode = await runSimEngine(options, unknown)
