import type { KubernetesGpus } from './skypilot-answers.ts'
import type { Step } from './skypilot-said.ts'

/** What goes wrong, each switched by hand at any time. Counts are used up. */
export interface SkyFaults {
  /** Places without room, such as `lab/main`. */
  full: ReadonlySet<string>
  /** The clouds that the server can use, with their clusters and contexts. */
  infra: readonly string[]
  /** Amazon sells machines of several types for one GPU, as the real one; otherwise it has one H100 like any other cloud. */
  machineTypes: boolean
  /** GPUs of each Kubernetes context: name, counts that may be asked for, all, free. */
  kubernetes: KubernetesGpus
  /** Launches stay at this step until it is null again. */
  stopBefore: Step | null
  /** Launches that are taken and whose answer is lost. */
  loseAnswers: number
  /** Calls that are answered with 503. */
  busy: number
  /** Launches that are answered with 503, and not taken. */
  busyLaunches: number
  /** Launches that are taken, and answered with 503 by what stands before the server. */
  busyAnswers: number
  /** Nobody answers: connections break before a word. */
  away: boolean
  /** The token that the server wants; null: none. */
  token: string | null
  /** Who that token belongs to, as the server calls its users. */
  userOfToken: string
  /** Of the server's API; null: it is from before it told one. */
  apiVersion: number | null
  /** What the server asks of its clients at least. */
  leastVersion: number
  /** Answers have fields and statuses that nobody has seen before. */
  strange: boolean
  /** What the set-up of machines fails with, which are left running. */
  setUpError: { readonly type: string; readonly message: string } | null
  /** Rows are not listed before they are this old, in ms. */
  listingLagMs: number
  /** Clusters that are listed no more although they are there. */
  unlisted: ReadonlySet<string>
  /** Machines are called up, and no job was ever submitted to them. */
  noJobs: boolean
  /** What the job of a machine comes to once it was submitted; it is `PENDING` first, as every job. */
  jobState: 'PENDING' | 'SETTING_UP' | 'RUNNING' | 'FAILED' | 'FAILED_SETUP'
  /** What jobs have written so far. */
  jobLines: readonly string[]
  /** Streams that are cut in the middle of a line. */
  cutStreams: number
  /** Streams say nothing until their request is over. */
  muteStreams: boolean
  /** The name of each launch turns out to be a cluster of somebody else. */
  foreignNames: boolean
  /** What a launch fails with, whatever it asks for. */
  launchError: { readonly type: string; readonly message: string } | null
}

export const noFaults = (): SkyFaults => ({
  full: new Set(),
  infra: ['slurm/lab'],
  machineTypes: false,
  kubernetes: {},
  stopBefore: null,
  loseAnswers: 0,
  busy: 0,
  busyLaunches: 0,
  busyAnswers: 0,
  away: false,
  token: null,
  userOfToken: '5e4v1ce5',
  apiVersion: 62,
  leastVersion: 24,
  strange: false,
  setUpError: null,
  listingLagMs: 0,
  unlisted: new Set(),
  noJobs: false,
  jobState: 'RUNNING',
  jobLines: ['flightdeck: the agent cannot be fetched'],
  cutStreams: 0,
  muteStreams: false,
  foreignNames: false,
  launchError: null,
})
