import { type Command, Option } from 'commander'
import type { ExitCode } from './exit.ts'
import { wholeFor } from './option-values.ts'
import type { RehearsalLent, StormFlags } from './rehearse.ts'
import { type FaultName, faultNames, faultsOf, leastForHalf } from './rehearse-faults.ts'
import { outliveReaders } from './terminal.ts'

// Those of one machine that are over within a minute; the others are asked for by name.
const usualFaults: readonly FaultName[] = ['notice', 'kill', 'hang', 'silence']

/** Rehearsals bring a control plane of their own: they ask none that runs, and change nothing of it. */
export function addRehearseCommands(program: Command, lent: RehearsalLent, done: (code: ExitCode) => void): void {
  program
    .command('rehearse')
    .description('see what a fault does to a simulated fleet on this machine; rents nothing')
    .command('spot-storm')
    .description('do to machines under a small load what goes wrong with them, and see what becomes of the requests')
    .option('--replicas <n>', `simulated machines (4, and ${leastForHalf} for "half")`, wholeFor('--replicas', 1))
    .addOption(
      new Option('--faults <list>', `one after the other: ${faultNames.join(', ')}; "all" for each of them`)
        .argParser(faultsOf)
        .default(usualFaults, usualFaults.join(',')),
    )
    .option('--dry-run', 'only tell what each of them does and how long it takes')
    .action(async (flags: StormFlags) => {
      // What was started is ended in order, also when nobody reads on.
      outliveReaders()
      // Loaded late: no other command starts processes.
      const { rehearseStorm } = await import('./rehearse.ts')
      done(await rehearseStorm(flags, lent))
    })
}
