import type { Command } from 'commander'
import type { ExitCode } from './exit.ts'
import { timeFor, wholeFor } from './option-values.ts'
import type { RehearsalLent, StormFlags } from './rehearse.ts'
import { outliveReaders } from './terminal.ts'

/** Rehearsals bring a control plane of their own: they ask none that runs, and change nothing of it. */
export function addRehearseCommands(program: Command, lent: RehearsalLent, done: (code: ExitCode) => void): void {
  program
    .command('rehearse')
    .description('see what a fault does to a simulated fleet on this machine; rents nothing')
    .command('spot-storm')
    .description('reclaim and kill machines under a small load, and see what becomes of the requests')
    .option('--replicas <n>', 'simulated machines', wholeFor('--replicas', 1), 4)
    .option('--notices <n>', 'machines that are told of their end (SIGTERM)', wholeFor('--notices', 0), 1)
    .option('--kills <n>', 'machines that are killed without a word (SIGKILL)', wholeFor('--kills', 0), 1)
    .option('--for <time>', 'how long the storm lasts', timeFor('--for'), 30)
    .action(async (flags: StormFlags) => {
      // What was started is ended in order, also when nobody reads on.
      outliveReaders()
      // Loaded late: no other command starts processes.
      const { rehearseStorm } = await import('./rehearse.ts')
      done(await rehearseStorm(flags, lent))
    })
}
