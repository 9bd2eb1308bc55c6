export type Step = 'placing' | 'row' | 'machine' | 'runtime' | 'up' | 'job'

/** One thing that happens in a launch, with what it writes into the stream and as the cluster's event. */
export interface Launch {
  readonly name: Step
  readonly event: string | null
  readonly log: readonly string[]
}

const step = (text: string): string => {
  const json = JSON.stringify(`<rich_update>[bold cyan]${text}[/]</rich_update>`)
  return `<sky-payload>${json}</sky-payload>`
}

/** The order that was recorded of a launch which succeeds; each step takes as long as the fake is told. */
export function launchSteps(name: string, region: string): readonly Launch[] {
  const [cluster, partition] = region.split('/')
  return [
    { name: 'placing', event: null, log: [step('Optimizing'), 'Considered resources (1 node):', step('Launching')] },
    {
      name: 'row',
      event: `Provisioning on slurm in ${cluster}`,
      log: [`\u001b[0m⚙︎ Launching on Slurm ${cluster}\u001b[0m (${partition}).`],
    },
    {
      name: 'machine',
      event: `Instances launched on slurm in ${cluster}`,
      log: [step('Launching - Waiting for SSH access'), '\u001b[2m└── \u001b[0m\u001b[2mInstance is up.\u001b[0m'],
    },
    {
      name: 'runtime',
      event: 'Setting up SkyPilot runtime on cluster',
      log: [step('Preparing SkyPilot runtime (2/3 - dependencies)')],
    },
    {
      name: 'up',
      event: 'Cluster successfully provisioned with 1 nodes',
      log: [`\u001b[32m✓ Cluster launched: ${name}.\u001b[0m`, step('Submitting job')],
    },
    { name: 'job', event: null, log: ['⚙︎ Job submitted, ID: 1'] },
  ]
}
