/** Where a launch stands inside SkyPilot. In order; a failing-over launch goes back to `placing`. */
export const skyStages = [
  'queued',
  'placing',
  'provisioning',
  'pending',
  'machine_up',
  'runtime_setup',
  'cluster_up',
  'submitting',
  'submitted',
] as const
export type SkyStage = (typeof skyStages)[number]

// From the stream of 0.14.1; the first that matches counts.
const ofTheStream: readonly (readonly [RegExp, SkyStage])[] = [
  [/^Waiting for 'sky\.launch' request to be scheduled/, 'queued'],
  [/^Launching - blocked by other requests/, 'queued'],
  [/^(Optimizing|Updating \w+ catalog|Checking reserved resources|Looking for resources)/, 'placing'],
  [/^Launching \(.*pending/, 'pending'],
  [/^Launching - (Waiting for SSH access|Initializing docker)/, 'machine_up'],
  [/(Instance is|Pods are|Docker container is) up\.$/, 'machine_up'],
  [/^Preparing SkyPilot runtime|^Setting up logging agent/, 'runtime_setup'],
  [/^✓ Cluster launched/, 'cluster_up'],
  [/^(⚙︎ )?(Syncing files|Running setup)|^✓ (Setup|Synced)|^Submitting job/, 'submitting'],
  [/^⚙︎ Job submitted/, 'submitted'],
  [/^⚙︎ Launching on |^Launching/, 'provisioning'],
]

// Events of a cluster, by the words of 0.14.1; the first that matches counts.
const ofEvents: readonly (readonly [RegExp, SkyStage])[] = [
  [/^Provisioning on /, 'provisioning'],
  [/^Instances launched on /, 'machine_up'],
  [/^Setting up SkyPilot runtime/, 'runtime_setup'],
  [/^Cluster successfully provisioned/, 'cluster_up'],
  [/^(Syncing |Running setup)/, 'submitting'],
]

// Told as they are: a place that failed, and that another one is tried.
const turns = /^(↺ |⨯ |sky\.exceptions\.)/
const glyphs = /^(?:[⚙✓↺⨯]\ufe0e?|[├└]──) +/

export const stageOfStream = (text: string): SkyStage | null =>
  ofTheStream.find(([pattern]) => pattern.test(text))?.[1] ?? null

export const stageOfEvent = (text: string): SkyStage | null =>
  ofEvents.find(([pattern]) => pattern.test(text))?.[1] ?? null

export const isBehind = (stage: SkyStage, other: SkyStage): boolean =>
  skyStages.indexOf(stage) < skyStages.indexOf(other)

/** Whether an item of the stream tells where the launch stands. */
export const isStep = (text: string): boolean => turns.test(text) || stageOfStream(text) !== null

/** A step without the ids and the marks that SkyPilot writes around it. */
export const shownStep = (text: string): string =>
  text.replace(glyphs, '').replace(/^(Waiting for 'sky\.launch' request to be scheduled): .*$/, '$1')

/**
 * Whether a machine may run behind a row whose last event is this one. The row is made before anything is asked of the
 * cloud and taken away after it refused, so these events say no; whatever we do not understand says yes, for then money may run.
 */
export function machineMayRun(status: string, lastEvent: string | null): boolean {
  return (
    status !== 'INIT' ||
    lastEvent === null ||
    !/^(Provisioning on |Retrying provisioning|Provision failed: )/.test(lastEvent)
  )
}
