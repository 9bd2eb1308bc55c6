import { runSimEngine } from '../sim/engine.ts'
import { parseArguments } from '../sim/engine-options.ts'

const { options, unknown } = parseArguments(process.argv.slice(2), process.env)
process.exitCode = await runSimEngine(options, unknown)
