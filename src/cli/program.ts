import { Command, CommanderError } from 'commander'
import { version } from '../core/version.ts'
import type { Client } from '../wire/client.ts'
import { addAdminCommands } from './commands-admin.ts'
import { addDeploymentCommands } from './commands-deployment.ts'
import { addLaunchCommands } from './commands-launch.ts'
import { addNodeCommands } from './commands-node.ts'
import { addRehearseCommands } from './commands-rehearse.ts'
import { type ConnectionOptions, findConnection, strangerRemedy } from './connection.ts'
import type { Act, Context, Run } from './context.ts'
import { asCliFailure, CliFailure, type ExitCode, exitCodes, failureJson, failureText, usage } from './exit.ts'
import { wholeFor } from './option-values.ts'
import type { Terminal } from './terminal.ts'

export interface UpFlags {
  readonly data?: string
  readonly config?: string
  readonly port?: number
  readonly gatewayPort?: number
  readonly gateway: boolean
}

/** What the entry point lends: this folder may neither start a server nor load the client before it is needed. */
export interface Lent {
  readonly up: (flags: UpFlags, terminal: Terminal, json: boolean) => Promise<void>
  readonly makeClient: (connection: { url: string; token: string }) => Promise<Client>
  readonly terminal: Terminal
  readonly env: Readonly<Record<string, string | undefined>>
}

interface GlobalOptions extends ConnectionOptions {
  readonly json?: boolean
}

const exitHelp = `
Exit codes:
  0    done
  1    the launch or the operation failed
  2    wrong usage, or the request was refused as wrong
  3    the control plane cannot be reached
  4    no valid token, or its role is too low
  5    the launch timed out
  130  interrupted; a launch that was watched goes on

Where the control plane is: --url and --token, else FLIGHTDECK_URL and FLIGHTDECK_TOKEN, else what
\`flightdeck up\` wrote into the data folder (--data, else FLIGHTDECK_DATA, default: data/ in the clone).
Launches, nodes and deployments may be given by name, or by the first letters of their id.`

/** Runs one command line. Resolves to the exit code; everything that went wrong has been told by then. */
export async function runCli(argv: readonly string[], lent: Lent): Promise<ExitCode> {
  const { terminal } = lent
  // Known before the words are parsed, because what is wrong with them is told as JSON too.
  const json = argv.includes('--json')
  const state: { exitCode: ExitCode; url: string; keptIn?: string } = { exitCode: exitCodes.ok, url: '' }
  const act: Act =
    <A extends unknown[]>(run: Run<A>) =>
    async (...given: unknown[]) => {
      const command = given.pop() as Command
      const options = command.optsWithGlobals<GlobalOptions>()
      const connection = findConnection(options, lent.env)
      state.url = connection.url
      if (connection.keptIn) state.keptIn = connection.keptIn
      const context: Context = { connection, client: await lent.makeClient(connection), terminal, json }
      // Commander has checked the words and gives them in the order in which the command names them.
      const code = await run(context, ...(given as A))
      state.exitCode = code ?? exitCodes.ok
    }
  const program = makeProgram(lent, act, json)
  addRehearseCommands(program, { ...lent, json }, (code) => {
    state.exitCode = code
  })
  try {
    await program.parseAsync(argv, { from: 'user' })
    return state.exitCode
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok
    const failure = error instanceof CommanderError ? misuse(error) : told(asCliFailure(error, state.url), state.keptIn)
    terminal.err(json ? failureJson(failure) : failureText(failure, terminal.look()))
    return failure.exitCode
  }
}

function told(failure: CliFailure, keptIn: string | undefined): CliFailure {
  const { record, exitCode, requestId } = failure
  if (record.code !== 'unauthenticated' || keptIn === undefined) return failure
  return new CliFailure({ ...record, remedy: strangerRemedy(keptIn) }, exitCode, requestId)
}

function misuse(error: CommanderError): CliFailure {
  // Bare `flightdeck`, or a group without its command: the help has been shown, and this says why.
  const help = error.code === 'commander.help'
  const cause = help ? 'No command was given.' : error.message.replace(/^error: /, '').replace(/\.?$/, '.')
  return usage(cause[0]?.toUpperCase() + cause.slice(1), 'See `flightdeck --help`, or `flightdeck COMMAND --help`.')
}

function makeProgram({ terminal, up }: Lent, act: Act, json: boolean): Command {
  const program = new Command('flightdeck')
    .description('A self-hosted control plane for GPU inference nodes.')
    .version(version)
    .option('--json', 'one JSON document; one for each line where it is a stream')
    .option('--data <folder>', 'the data folder of `up` (default: FLIGHTDECK_DATA, else data/ in the clone)')
    .option('--url <url>', 'where the control plane is')
    .option('--token <token>', 'who is asking; others on this machine can see it, so rather set FLIGHTDECK_TOKEN')
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', exitHelp)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      // Told once, by `runCli`, with its remedy.
      outputError: () => undefined,
    })
  program
    .command('up')
    .description('start the control plane and its gateway on this machine')
    .option('--config <file>', 'the configuration file (default: FLIGHTDECK_CONFIG)')
    .option('--port <n>', 'of the control API; 0: any that is free', wholeFor('--port', 0))
    .option('--gateway-port <n>', 'of the gateway; 0: any that is free', wholeFor('--gateway-port', 0))
    .option('--no-gateway', 'start no gateway: another process serves it')
    .action((_: object, command: Command) => up(command.optsWithGlobals<UpFlags>(), terminal, json))
  addLaunchCommands(program, act)
  addNodeCommands(program, act)
  addDeploymentCommands(program, act)
  addAdminCommands(program, act)
  return program
}
