import type { Step } from './skypilot-launch.ts'

/** What goes wrong, each switched by hand at any time. Counts are used up. */
export interface SkyFaults {
  /** Places without room, such as `lab/main`. */
  full: ReadonlySet<string>
  /** Launches stay at this step until it is null again. */
  stopBefore: Step | null
  /** Launches that are taken and whose answer is lost. */
  loseAnswers: number
  /** Calls that are answered with 503. */
  busy: number
  /** Nobody answers: connections break before a word. */
  away: boolean
  /** The server wants a token that it does not get. */
  unauthorised: boolean
  /** What the server asks of its clients at least. */
  leastVersion: number
  /** Answers have fields and statuses that nobody has seen before. */
  strange: boolean
  /** What the set-up of machines fails with, which are left running. */
  setUpError: { readonly type: string; readonly message: string } | null
  /** Rows are not listed before they are this old, in ms. */
  listingLagMs: number
  /** The job of a machine ends as soon as it was submitted. */
  jobsFail: boolean
  /** What jobs have written so far. */
  jobLines: readonly string[]
  /** Streams that are cut in the middle of a line. */
  cutStreams: number
  /** What a launch fails with, whatever it asks for. */
  launchError: { readonly type: string; readonly message: string } | null
}

export const noFaults = (): SkyFaults => ({
  full: new Set(),
  stopBefore: null,
  loseAnswers: 0,
  busy: 0,
  away: false,
  unauthorised: false,
  leastVersion: 24,
  strange: false,
  setUpError: null,
  listingLagMs: 0,
  jobsFail: false,
  jobLines: ['flightdeck: the agent cannot be fetched'],
  cutStreams: 0,
  launchError: null,
})
