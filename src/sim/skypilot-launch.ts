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

/** A step of the spinner, as the stream wraps it. */
export const spinner = (text: string): string => {
  const json = JSON.stringify(`<rich_update>[bold cyan]${text}[/]</rich_update>`)
  return `<sky-payload>${json}</sky-payload>`
}

/** What was recorded of a launch that succeeds, in its order and with its times. */
export function launchSteps(name: string, region: string): readonly Launch[] {
  const [cluster, partition] = region.split('/')
  const hint = `  \u001b[2mView logs: \u001b[1msky logs --provision ${name}\u001b[0m\u001b[0m`
  const launching = (text: string) => spinner(text).replace('[/]', `[/]${JSON.stringify(hint).slice(1, -1)}`)
  return [
    {
      name: 'placing',
      atMs: 1_100,
      event: null,
      log: [spinner('Optimizing'), 'Considered resources (1 node):', launching('Launching')],
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
        `\u001b[32m✓ Cluster launched: ${name}.\u001b[0m${hint}`,
        '⚙︎ Syncing files.',
        spinner('Syncing files'),
        spinner('Running setup'),
        '\u001b[32m✓ Setup detached.\u001b[0m',
        spinner('Submitting job'),
      ],
    },
    { name: 'job', atMs: 29_000, event: null, log: ['⚙︎ Job submitted, ID: 1'] },
  ]
}
