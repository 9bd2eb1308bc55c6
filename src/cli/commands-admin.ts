// The flightdeck command: a client of the API like any other, for people and for scripts.
// Deliberately absent: every call that is not public, and any opinion about what a state allows.
import { Argument, type Command, Option } from 'commander'
import { type Role, roles } from '../core/tokens.ts'
import { type Act, answer, type Context } from './context.ts'
import { usage } from './exit.ts'
import { pickOne } from './find.ts'
import {
  auditText,
  keysText,
  modelsText,
  offersText,
  operatorsText,
  spendText,
  statusText,
  unknownText,
} from './fleet-text.ts'
import { ageOf } from './human-time.ts'
import { addPageOptions, answerPage, type PageOptions } from './pages.ts'
import { catalogText } from './plan-text.ts'
import { table } from './table.ts'

export function addAdminCommands(program: Command, act: Act): void {
  addReads(program, act)
  addAudit(program, act)
  addKeys(program, act)
  addOperators(program, act)
  addSecrets(program, act)
}

function addReads(program: Command, act: Act): void {
  const read = (name: string, summary: string, run: (context: Context) => Promise<void>) =>
    program.command(name).description(summary).action(act(run))
  read('status', 'loops, gateways, pause, and money per hour', async (context) =>
    answer(context, await context.client.status(), (status) => statusText(status, Date.now(), context.terminal.look())),
  )
  read('models', 'what can be launched', async (context) =>
    answer(context, await context.client.listModels(), ({ items }) => modelsText(items, context.terminal.look())),
  )
  program
    .command('catalog')
    .description('what is known about open-weight models: size, memory, context, licence')
    .option('--search <text>', 'only those whose name or licence has this in it')
    .action(
      act(async (context, { search = '' }: { search?: string }) => {
        const { items } = await context.client.listCatalog()
        const found = items.filter(({ id, licence }) => `${id} ${licence}`.toLowerCase().includes(search.toLowerCase()))
        answer(context, { items: found }, () => catalogText(found, context.terminal.look()))
      }),
    )
  read('offers', 'what could be bought now', async (context) =>
    answer(context, await context.client.listOffers(), (offers) =>
      offersText(offers, Date.now(), context.terminal.look()),
    ),
  )
  read('unknown', 'what clouds said that nobody has seen before; --json for a fixture', async (context) =>
    answer(context, await context.client.unknownFailures(), ({ items }) =>
      unknownText(items, Date.now(), context.terminal.look()),
    ),
  )
  program
    .command('sweep')
    .description('machines that no row knows: let the sweep release them')
    .requiredOption('--arm', 'you have looked at them in `flightdeck status`, and they are nobody`s')
    .action(
      act(async (context) => {
        const status = await context.client.armSweep({ body: { armed: true } })
        answer(context, status, (now) => statusText(now, Date.now(), context.terminal.look()))
      }),
    )
  program
    .command('spend')
    .description('where the money went')
    .option('--from <time>', 'since, like 2026-01-31 or 2026-01-31T12:00:00Z', momentFor('--from'))
    .option('--to <time>', 'until', momentFor('--to'))
    .action(
      act(async (context, query: { from?: string; to?: string }) => {
        const { from, to } = query
        answer(context, await context.client.spend({ query: { from, to } }), (spend) =>
          spendText(spend, context.terminal.look()),
        )
      }),
    )
}

function addAudit(program: Command, act: Act): void {
  addPageOptions(program.command('audit').description('who changed what, newest first'), 50)
    .option('--who <name>', 'only what this person did')
    .option('--action <name>', 'only this, like node.release; or all that begins so, like node')
    .option('--target <id>', 'only what was done to this')
    .action(
      act((context, options: PageOptions & { who?: string; action?: string; target?: string }) => {
        const { who, action, target } = options
        return answerPage(
          context,
          options,
          (page) => context.client.audit({ query: { ...page, who, action, target } }),
          (items) => auditText(items, Date.now(), context.terminal.look()),
        )
      }),
    )
}

function momentFor(flag: string): (text: string) => string {
  return (text) => {
    const moment = new Date(text)
    if (!Number.isNaN(moment.getTime())) return moment.toISOString()
    throw usage(`${flag} must be a date, not "${text}".`, 'Write it like 2026-01-31 or 2026-01-31T12:00:00Z.')
  }
}

/** A secret goes alone to standard output, so that it can be put into a variable; the rest is for people. */
function tellSecret(context: Context, reply: object, secret: string, note: string): void {
  answer(context, reply, () => `${secret}\n`)
  if (!context.json) context.terminal.err(`${note} It is shown this once.\n`)
}

function addKeys(program: Command, act: Act): void {
  const keys = program
    .command('keys')
    .description('API keys of the gateway: list, create, revoke')
    .action(
      act(async (context) => {
        const all = await context.client.listKeys()
        answer(context, all, ({ items }) => keysText(items, Date.now(), context.terminal.look()))
      }),
    )
  keys
    .command('create <name>')
    .description('make a key; it is shown once')
    .option('--models <names>', 'only for these models, with commas between')
    .action(
      act(async (context, name: string, options: { models?: string }) => {
        const models = options.models?.split(',').map((model) => model.trim()) ?? null
        const made = await context.client.createKey({ body: { name, models } })
        tellSecret(context, made, made.key, `Key ${made.id} for ${models?.join(', ') ?? 'all models'}.`)
      }),
    )
  keys
    .command('revoke <key>')
    .description('end a key now')
    .action(
      act(async (context, given: string) => {
        const { items } = await context.client.listKeys()
        // A name may be used again once its key is revoked, so those do not count as a match.
        const { id } = pickOne(
          items.filter((key) => key.revokedAt === null),
          given,
          'key',
          'flightdeck keys',
        )
        answer(context, await context.client.revokeKey({ params: { id } }), (key) => `${key.id} is revoked.\n`)
      }),
    )
}

function addOperators(program: Command, act: Act): void {
  const operators = program
    .command('operators')
    .description('people and their roles: list, create, role, disable')
    .action(
      act(async (context) => {
        const all = await context.client.listOperators()
        answer(context, all, ({ items }) => operatorsText(items, Date.now(), context.terminal.look()))
      }),
    )
  operators
    .command('create <name>')
    .description('add a person; the token is shown once')
    .addOption(new Option('--role <role>', 'what they may do').choices(roles).default('viewer'))
    .action(
      act(async (context, name: string, { role }: { role: Role }) => {
        const made = await context.client.createOperator({ body: { name, role } })
        tellSecret(context, made, made.token, `Token of ${made.name} (${made.role}).`)
      }),
    )
  operators
    .command('role <operator>')
    .addArgument(new Argument('<role>', 'what they may do from now on').choices(roles))
    .description('give a person another role; it counts at once')
    .action(
      act(async (context, given: string, role: Role) => {
        const id = await operatorMeant(context, given)
        const changed = await context.client.changeRole({ params: { id }, body: { role } })
        answer(context, changed, (person) => `${person.name} is ${person.role} from now on.\n`)
      }),
    )
  operators
    .command('disable <operator>')
    .description('take the token away')
    .action(
      act(async (context, given: string) => {
        const id = await operatorMeant(context, given)
        answer(
          context,
          await context.client.disableOperator({ params: { id } }),
          ({ name }) => `${name} is disabled.\n`,
        )
      }),
    )
}

async function operatorMeant({ client }: Context, given: string): Promise<string> {
  const { items } = await client.listOperators()
  return pickOne(items, given, 'operator', 'flightdeck operators').id
}

function addSecrets(program: Command, act: Act): void {
  const secrets = program
    .command('secrets')
    .description('variables that engines get: list names, set, delete')
    .action(
      act(async (context) => {
        const all = await context.client.listSecrets()
        answer(context, all, ({ items }) =>
          table(
            [
              { title: 'SECRET', cell: ({ name }) => name },
              { title: 'AGE', cell: ({ createdAt }) => ageOf(createdAt, Date.now()), right: true },
            ],
            items,
            context.terminal.look(),
          ),
        )
      }),
    )
  secrets
    .command('set <name>')
    .description('set a secret; the value is read from standard input, so that no shell remembers it')
    .action(
      act(async (context, name: string) => {
        const value = await standardInput()
        answer(
          context,
          await context.client.putSecret({ params: { id: name }, body: { value } }),
          () => `${name} is set.\n`,
        )
      }),
    )
  secrets
    .command('delete <name>')
    .description('forget a secret')
    .action(
      act(async (context, name: string) => {
        answer(context, await context.client.deleteSecret({ params: { id: name } }), () => `${name} is forgotten.\n`)
      }),
    )
}

async function standardInput(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('The value, then Ctrl-D: ')
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk
  const value = text.replace(/\r?\n$/, '')
  if (value === '')
    throw usage('Standard input was empty.', 'Send the value: printf %s "$HF_TOKEN" | flightdeck secrets set HF_TOKEN')
  return value
}
