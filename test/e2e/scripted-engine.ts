import { existsSync, readFileSync, writeSync } from 'node:fs'
import { pause } from '../../src/lib/clock.ts'
import { runSimEngine } from '../../src/sim/engine.ts'
import { parseArguments } from '../../src/sim/engine-options.ts'

// The "model" that this engine is told to load is the script of what it does: options of the simulated engine, as JSON.
// It comes first, after a flag in the words for the simulated engine and without one in those for vLLM.
const [script = '{}', ...rest] = process.argv.slice(process.argv[2] === '--model' ? 3 : 2)
// Any other is a model by its name, and nothing goes wrong with it.
const { prints, says, exitCode, brokenUntil, lingersMs, ...sim } = JSON.parse(
  script.startsWith('{') ? script : '{}',
) as {
  prints?: string
  /** Lines of its own. */
  says?: string[]
  exitCode?: number
  /** Leaves at once until this file is there. */
  brokenUntil?: string
  /** Stays for so long after it was told to end and has ended its work. */
  lingersMs?: number
}
if (brokenUntil && !existsSync(brokenUntil)) {
  process.exitCode = 1
} else if (prints || says) {
  // Or the recorded output of a real engine, and its exit code.
  writeSync(2, prints ? readFileSync(prints) : Buffer.from(`${says?.join('\n')}\n`))
  process.exitCode = exitCode ?? 1
} else {
  const { options, unknown } = parseArguments(['scripted', '--sim', JSON.stringify(sim), ...rest], process.env)
  process.exitCode = await runSimEngine(options, unknown)
  if (lingersMs) await pause(lingersMs)
}
