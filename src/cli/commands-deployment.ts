import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { deploymentNameOf } from '../core/deployment-name.ts'
import type { DeploymentView } from '../wire/views.ts'
import { type AskOptions, addAskOptions, engineArgsOf, ownModelOf, wishOf } from './commands-launch.ts'
import { type Act, answer, type Context } from './context.ts'
import { pickOne } from './find.ts'
import { deploymentsText, statusText } from './fleet-text.ts'
import { wholeFor } from './option-values.ts'

type DeployOptions = AskOptions & { readonly replicas: number; readonly name?: string }

async function deploy(context: Context, model: string, options: DeployOptions): Promise<void> {
  const made = await context.client.createDeployment({
    body: {
      name: options.name ?? deploymentNameOf(model),
      model,
      own: ownModelOf(options),
      engineArgs: engineArgsOf(options.arg),
      wish: wishOf(options),
      timeLimitS: options.timeLimit,
      concurrency: options.concurrency,
      wanted: options.replicas,
    },
    // The key makes a repeated request harmless when its first answer was lost.
    idempotencyKey: options.idempotencyKey ?? randomUUID(),
  })
  show(context, made)
}

async function findDeployment({ client }: Context, given: string): Promise<DeploymentView> {
  const { items } = await client.listDeployments()
  return pickOne(items, given, 'deployment', 'flightdeck deployments')
}

async function scale(context: Context, given: string, wanted: number): Promise<void> {
  const { id } = await findDeployment(context, given)
  show(context, await context.client.scaleDeployment({ params: { id }, body: { wanted } }))
}

async function setPaused(context: Context, given: string, paused: boolean): Promise<void> {
  const { id } = await findDeployment(context, given)
  show(context, await context.client.pauseDeployment({ params: { id }, body: { paused } }))
}

function show(context: Context, deployment: DeploymentView): void {
  answer(context, deployment, (one) => deploymentsText([one], context.terminal.look()))
}

async function setAllPaused(context: Context, paused: boolean, reason = ''): Promise<void> {
  const status = await context.client.pause({ body: { paused, reason } })
  answer(context, status, (now) => statusText(now, Date.now(), context.terminal.look()))
}

interface PauseOptions {
  readonly off?: boolean
  readonly reason?: string
}

export function addDeploymentCommands(program: Command, act: Act): void {
  addAskOptions(program.command('deploy <model>').description('keep a number of replicas of a model'))
    .requiredOption('--replicas <n>', 'how many', wholeFor('--replicas', 0))
    .option('--name <name>', "the deployment's name (default: after the model)")
    .option('--idempotency-key <key>', 'the same key never makes two (default: a new one)')
    .action(act((context, model: string, options: DeployOptions) => deploy(context, model, options)))
  program
    .command('deployments')
    .description('list deployments')
    .action(
      act(async (context) => {
        const all = await context.client.listDeployments()
        answer(context, all, ({ items }) => deploymentsText(items, context.terminal.look()))
      }),
    )
  program
    .command('scale')
    .description('change the wanted number of replicas')
    .argument('<deployment>')
    .argument('<replicas>', 'how many', wholeFor('the number of replicas', 0))
    .action(act((context, given: string, wanted: number) => scale(context, given, wanted)))
  program
    .command('pause [deployment]')
    .description('pause automation: everywhere, or of one deployment')
    .option('--off', 'resume')
    .option('--reason <text>', 'why, for others to read')
    .action(
      act((context, given: string | undefined, { off = false, reason }: PauseOptions) =>
        given === undefined ? setAllPaused(context, !off, reason) : setPaused(context, given, !off),
      ),
    )
  program
    .command('resume [deployment]')
    .description('resume automation; a deployment that had stopped by itself starts again')
    .action(
      act((context, given: string | undefined) =>
        given === undefined ? setAllPaused(context, false) : setPaused(context, given, false),
      ),
    )
}
