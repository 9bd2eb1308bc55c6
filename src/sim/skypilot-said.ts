export type Step = 'placing' | 'row' | 'machine' | 'runtime' | 'up' | 'job'

/** One thing that happens in a launch, with what it writes into the stream and as the cluster's event. */
export interface Launch {
  readonly name: Step
  /** When it was recorded to happen, in ms from the post. */
  readonly atMs: number
  readonly event: string | null
  /** Events of the same second, which the row does not show. */
  readonly more?: readonly string[]
  readonly log: readonly string[]
}

/** A launch at one place: `place` is a cluster and a partition, `gpus` a kind and a count. */
export interface At {
  readonly name: string
  readonly place: string
  readonly gpus: string
}

type Control = 'rich_init' | 'rich_update' | 'rich_start'

/** A step of the spinner, as the stream wraps it. */
export function spinner(text: string, { hint = '', control = 'rich_update' as Control, style = 'bold cyan' } = {}) {
  const close = style === 'dim' ? '[/dim]' : '[/]'
  return `<sky-payload>${JSON.stringify(`<${control}>[${style}]${text}${close}${hint}</${control}>`)}</sky-payload>`
}
export const spinnerStops = '<sky-payload>"<rich_stop></rich_stop>"</sky-payload>'
const spinnerEnds = '<sky-payload>"<rich_exit></rich_exit>"</sky-payload>'
export const cursorIsBack = '\u001b[?25h'

const spins = (text: string): string[] =>
  (['rich_init', 'rich_update', 'rich_start'] as const).map((control) => spinner(text, { control }))

const logsOf = (name: string) => `\u001b[2mView logs: \u001b[1msky logs --provision ${name}\u001b[0m\u001b[0m`
const launchingOf = (name: string) => (text: string) => spinner(text, { hint: `  ${logsOf(name)}` })
const looking = spinner('Looking for resources', {
  hint: '  \u001b[2mView logs: sky api logs -l sky-2026-11-23-18-28-49-566229/provision.log\u001b[0m',
})

/** The table that is written for each place, whichever partition it is. */
function considered({ place, gpus }: At): string[] {
  const [cluster] = place.split('/')
  const rule = '-'.repeat(73)
  const row = ` ${`Slurm (${cluster})`.padEnd(13)} -          1       1         ${gpus.padEnd(8)} 0.00       \u001b[32m   ✔\u001b[0m     \r`
  const head = ' INFRA         INSTANCE   vCPUs   Mem(GB)   GPUS     COST ($)   CHOSEN   \r'
  return ['Considered resources (1 node):', `${rule}\r`, head, `${rule}\r`, row, rule]
}

/** What was recorded of a launch that succeeds, in its order and with its times. */
export function launchSteps(at: At): readonly Launch[] {
  const { name, place } = at
  const [cluster, partition] = place.split('/')
  const launching = launchingOf(name)
  return [
    {
      name: 'placing',
      atMs: 1_100,
      event: null,
      log: [
        ...[...spins('Optimizing'), ...considered(at), spinnerEnds],
        ...[...spins('Launching'), spinner('Launching'), launching('Launching'), launching('Launching')],
      ],
    },
    {
      name: 'row',
      atMs: 1_700,
      event: `Provisioning on slurm in ${cluster}`,
      log: [`\u001b[0m⚙︎ Launching on Slurm ${cluster}\u001b[0m (${partition}).`],
    },
    {
      name: 'machine',
      atMs: 7_400,
      event: `Instances launched on slurm in ${cluster}`,
      log: [
        launching('Launching - Checking instance status'),
        launching('Launching - Waiting for SSH access'),
        '\u001b[2m└── \u001b[0m\u001b[2mInstance is up.\u001b[0m',
      ],
    },
    {
      name: 'runtime',
      atMs: 8_700,
      event: 'Setting up SkyPilot runtime on cluster',
      log: ['1/3 - initializing', '2/3 - dependencies', '3/3 - runtime'].map((part) =>
        launching(`Preparing SkyPilot runtime (${part})`),
      ),
    },
    {
      name: 'up',
      atMs: 22_500,
      event: 'Cluster successfully provisioned with 1 nodes',
      more: ['Running setup commands to install dependencies', 'Syncing file mounts'],
      log: [
        launching('Launching - Checking instance status'),
        `\u001b[32m✓ Cluster launched: ${name}.\u001b[0m  ${logsOf(name)}`,
        '⚙︎ Syncing files.',
        spinner('Syncing files'),
        spinner('Running setup'),
        '\u001b[32m✓ Setup detached.\u001b[0m',
        spinner('Submitting job'),
      ],
    },
    { name: 'job', atMs: 29_000, event: null, log: ['⚙︎ Job submitted, ID: 1', spinnerEnds, ''] },
  ]
}

// As recorded at two places, within half a second: from the row on it waits for room, then the place is given up.
export const pendsAfterMs = 4_800
export const refusedAfterMs = 6_900
export const nextAfterMs = 300

/** What was recorded of a place without room, and of what comes after it. */
export function refusalOf(at: At) {
  const { name, place, gpus } = at
  const [, partition] = place.split('/')
  const launching = launchingOf(name)
  return {
    pending: [launching('Launching (pending: Resources)')],
    refused: [
      `sky.exceptions.ResourcesUnavailableError: ${notAcquired(partition, gpus)} `,
      '\r',
      '\u001b[0m\u001b[33m↺\u001b[0m Trying other potential resources.',
      looking,
      spinner('Optimizing'),
      spinner('Launching', { control: 'rich_start' }),
    ],
    next: [...considered(at), looking, launching('Launching')],
    noneLeft: [
      looking,
      `\u001b[0m\u001b[31m⨯\u001b[0m Failed to provision resources. ${logsOf(name)}`,
      spinnerEnds,
      '',
    ],
    parked: (why: string) => [looking, spinnerEnds, '', why, '\r', '\u001b[0m\u001b[33m↺\u001b[0m Retry after 30s'],
  }
}

const notAcquired = (partition: string | undefined, gpus: string) =>
  `Failed to acquire resources in ${partition} for {${slurmOf(gpus)}}.`
function slurmOf(gpus: string): string {
  const [kind, count] = gpus.split(':')
  return `Slurm(cpus=1, mem=1, {'${kind}': ${count}})`
}

/** What a launch fails with that no place had room for. */
export function noCapacity(places: readonly string[], gpus: string) {
  const tried = places.map((place) => {
    const [cluster, partition] = place.split('/')
    return `\n✗ Slurm (${cluster}) — (gpus=${gpus}, ...)\n  ${notAcquired(partition, gpus)}`
  })
  const why = '\u001b[31mFailed to provision all possible launchable resources.\u001b[0m'
  return {
    type: 'ResourcesUnavailableError',
    message: `${why} Relax the task's resource requirements: 1x ${slurmOf(gpus)}\nTo keep retrying until the cluster is up, use the \`--retry-until-up\` flag.\nReasons for provision failures (for details, please check the log above):\nProvision failures (tried ${places.length} infra):\n${tried.join(' \n')}\n`,
  }
}
