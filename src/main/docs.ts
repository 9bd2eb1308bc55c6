import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ArgumentKind, type EnginePreset, engineNames, enginePresets } from '../core/engine-presets.ts'
import { type SmiSign, smiSigns, type XidAction, xids } from '../core/gpu-fault.ts'
import { launchTable } from '../core/launch-table.ts'
import { type Billed, endStatesOf, type MachineTable, statesOf } from '../core/machine-table.ts'
import { nodeTable } from '../core/node-table.ts'
import { severity, timeRows, type VerdictRow, verdictTable } from '../core/verdict-table.ts'
import { inGeneral, isAlert, type RuleGroup, ruleGroups, scrapeConfig } from './alerts-page.ts'
import { projectRoot } from './config.ts'

/** Pages of docs/ that are written from the code, by their path. A test fails when a committed one differs. */
export const generatedPages: Readonly<Record<string, () => string>> = {
  'docs/machines.md': machinesPage,
  'docs/engines.md': enginesPage,
  'docs/gpu-faults.md': gpuFaultsPage,
  'docs/alerts.md': alertsPage,
}

const byHand = 'Written by `npm run docs` from the code; do not edit it by hand.'

function machinesPage(): string {
  return page(
    '# State machines and verdicts',
    byHand,
    `Two state machines say what is true of a launch and of a node. The code has them as tables
(\`src/core/launch-table.ts\`, \`src/core/node-table.ts\`); types, database checks and this page come from those.
An arrow is a fact that a loop has seen in the rows. A fact that a state does not list changes nothing.`,
    '## Node',
    `One machine, from the intent to have it until the cloud says that it is gone. Out of \`releasing\` only the cloud's
own word leads, given twice with time between, while the node itself is silent.`,
    diagramOf(nodeTable, 'intended'),
    statesTable(nodeTable),
    '## Launch',
    'The durable effort to get one node. An end state means that nothing of the launch is left running.',
    diagramOf(launchTable, 'queued'),
    statesTable(launchTable),
    '## Verdicts',
    `Three witnesses speak of a node that has joined: the heartbeat of its agent, the probe of its engine by the gateways,
and the sighting of its machine at the cloud. Each is good, bad or unknown; one that is silent is unknown, never bad.
The first row that matches applies. A ready node gets requests unless it is \`suspect\` or \`dead\`: silence
accuses nobody, and a cloud that says "gone" of a node that serves is not believed
([why](decisions/0008-only-an-accusation-takes-requests-away.md)). How each of them is asked, and what follows from a
verdict, is in [watching.md](watching.md).`,
    verdictsTable(verdictTable),
    'What was so before adds two rows:',
    tableOf(
      ['Row', 'Verdict', 'Meaning'],
      Object.values(timeRows).map(({ row, verdict, meaning }) => [`\`${row}\``, verdict, meaning]),
    ),
  )
}

function diagramOf<S extends string, F extends string>(table: MachineTable<S, F>, start: S): string {
  const arrows = statesOf(table).flatMap((state) =>
    Object.entries<S | undefined>(table[state].on).map(([fact, next]) => `    ${state} --> ${next}: ${fact}`),
  )
  const ends = endStatesOf(table).map((state) => `    ${state} --> [*]`)
  return ['```mermaid', 'stateDiagram-v2', `    [*] --> ${start}`, ...arrows, ...ends, '```'].join('\n')
}

const billedInWords: Readonly<Record<Billed, string>> = { no: 'no', yes: 'yes', unknown: 'may be' }

function statesTable<S extends string, F extends string>(table: MachineTable<S, F>): string {
  const rows = statesOf(table).map((state) => {
    const facts = Object.entries<S | undefined>(table[state].on).map(([fact, next]) => `${fact} → ${next}`)
    return [`\`${state}\``, billedInWords[table[state].billed], facts.join(', ') || 'nothing: it is over']
  })
  return tableOf(['State', 'Billed', 'What leads out of it'], rows)
}

function verdictsTable(table: readonly VerdictRow[]): string {
  const rows = table.map(({ row, when, verdict, meaning }) => {
    const { heartbeat, probe, sighting } = when
    const signals = [heartbeat, probe, sighting].map((value) => (value === '*' ? 'any' : value))
    return [`\`${row}\``, ...signals, verdict, String(severity[verdict]), meaning]
  })
  return tableOf(['Row', 'Heartbeat', 'Probe', 'Sighting', 'Verdict', 'Severity', 'Meaning'], rows)
}

function enginesPage(): string {
  return page(
    '# Engines and their arguments',
    byHand,
    `A launch may give its engine the arguments below and no others: an argument that is not listed is refused, because
some would run code from elsewhere (\`--trust-remote-code\`, \`--middleware\`) or open the machine (\`--host\`,
\`--api-key\`). Model, served name, address and port are always set by Flightdeck. The command itself comes from the
operator's configuration, never from a request.

The tests start \`sim\` and, on CPU, the real vLLM. SGLang and llama-server were never started by them: what is said here
of the two is what their makers say.`,
    ...engineNames.flatMap((name) => [`## ${name}`, aboutEngine(enginePresets[name])]),
  )
}

function aboutEngine(preset: EnginePreset): string {
  const words = preset.argv({ model: '<source>', servedName: '<name>', port: '{port}' })
  const command = preset.command.length > 0 ? preset.command.join(' ') : '<command of the configuration>'
  const rows = Object.entries(preset.arguments).map(([name, kind]) => [`\`${name}\``, valueInWords(kind)])
  return [`Started as \`${[command, ...words].join(' ')}\`.`, '', tableOf(['Argument', 'Value'], rows)].join('\n')
}

function valueInWords(kind: ArgumentKind): string {
  switch (kind.kind) {
    case 'flag':
      return '`true` or `false`'
    case 'integer':
      return `whole number from ${kind.min} to ${kind.max}`
    case 'number':
      return `number from ${kind.min} to ${kind.max}`
    case 'choice':
      return kind.of.map((choice) => `\`${choice}\``).join(', ')
    case 'text':
      return 'name of letters, digits and `_ . : / + -` that begins with a letter or digit, 128 characters at most'
  }
}

const actionWords: Readonly<Record<XidAction, string>> = {
  replace: 'the machine is replaced',
  engine: "the engine's: shown",
  none: 'shown',
}

function gpuFaultsPage(): string {
  const numbers = Object.entries(xids).map(([xid, { means, action, nvidia, doubt }]) => [
    ...[xid, means, actionWords[action], `\`${nvidia}\``, doubt ?? ''],
  ])
  return page(
    '# Faults of GPUs',
    byHand,
    `The agent of a machine with NVIDIA GPUs looks for faults of those that its engine may use: by \`nvidia-smi\` every 15 s,
and in the kernel's log every 2 s where it may read that (\`/dev/kmsg\`, \`/var/log/kern.log\` or \`/var/log/messages\`;
it says in its log when it may not). What was there when the node joined is not news, and the same fault of the same GPU is
told once, also by an agent that was restarted.`,
    `A fault for which the machine is replaced takes the node out of the routing table at once. Requests in flight are finished,
the slot is free for another machine, and the node ends with the failure \`gpu_fault\`. A node that does not serve yet fails,
and its launch goes on elsewhere. It is never taken back. \`flightdeck nodes NODE\` has each fault with the line that said
so, also when the node is gone. An application's fault is only shown: an engine that ends by it is started again as after any
other end.`,
    `A new driver may print such faults everywhere. While more than three machines and more than a fifth of all would leave for
them at once, the rest of them serve on, \`flightdeck status\` says so, and they are replaced one at a time: the next when
nobody leaves for a faulty GPU and its deployment has as many replicas as it wants. A pause takes no turn.`,
    "## In the kernel's log",
    `The numbers come from NVIDIA's [Xid Catalog](https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html), read in
November 2026; its word for what to do at once stands beside ours. No GPU is reset: on a machine of a cloud that is the cloud's
to do, on this host its operator's; until then the next machine here may get the same GPU. A number that is not listed is shown, and nothing is done. Errors of NVSwitches (\`SXid\`) are not read.`,
    tableOf(['XID', 'Meaning', 'What is done', "NVIDIA's word", 'Doubt'], numbers),
    '## From nvidia-smi',
    'For each of these the machine is replaced. A driver that does not know a field is asked without it.',
    tableOf(
      ['Sign', 'Meaning', 'Field'],
      Object.entries(smiSigns).map(([sign, means]) => [`\`${sign}\``, means, smiFields[sign as SmiSign]]),
    ),
    `A GPU is lost when two looks in a row do not find it. An \`nvidia-smi\` that is absent, does not answer in 5 s, or does not fit
the driver says nothing of a GPU.`,
  )
}

const smiFields: Readonly<Record<SmiSign, string>> = {
  lost: 'fewer GPUs than at the join, or `GPU is lost`, `Unable to determine the device handle`, `No devices were found`',
  recovery: '`gpu_recovery_action` is not `None` any more',
  ecc: '`ecc.errors.uncorrected.volatile.total` has grown',
  rows: '`remapped_rows.pending` has become `Yes`',
  rows_failed: '`remapped_rows.failure` has become `Yes`',
  pages: '`retired_pages.pending` has become `Yes`',
}

function alertsPage(): string {
  return page(
    '# Alerts and a board',
    'Written by `npm run docs` from `monitoring/alerts.yml` and `monitoring/prometheus.yml`; do not edit it by hand.',
    `\`monitoring/alerts.yml\` has rules for Prometheus, \`monitoring/grafana.json\` a board for Grafana; its data source is
a variable of the board. What each figure tells is in [metrics.md](metrics.md). An alert says what is so in \`summary\` and what to
do in \`remedy\`. \`critical\`: money runs for nothing, requests fail, or nobody watches; \`warning\`: look at it today.`,
    '## What Prometheus reads',
    `\`flightdeck operators create prometheus --role viewer > prometheus.token\` makes the token that the control plane asks
for. Then \`prometheus --config.file=monitoring/prometheus.yml\`:`,
    ['```yaml', scrapeConfig(), '```'].join('\n'),
    ...ruleGroups().flatMap((group) => [`## ${titleOf(group)}`, alertsTable(group)]),
  )
}

/** `flightdeck-nodes` as a heading. */
function titleOf({ name }: RuleGroup): string {
  const word = name.replace(/^flightdeck-/, '')
  return word.charAt(0).toUpperCase() + word.slice(1)
}

function alertsTable({ rules }: RuleGroup): string {
  const rows = rules.filter(isAlert).map(({ alert, labels, annotations, for: held = 'at once' }) => {
    const { summary, remedy } = annotations
    return [`\`${alert}\``, labels.severity, held, inGeneral(summary), inGeneral(remedy)]
  })
  return tableOf(['Alert', 'Severity', 'After', 'What is so', 'What to do'], rows)
}

function tableOf(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n')
}

const page = (...parts: readonly string[]): string => `${parts.join('\n\n')}\n`

if (import.meta.main) {
  for (const [path, write] of Object.entries(generatedPages)) writeFileSync(join(projectRoot, path), write())
}
