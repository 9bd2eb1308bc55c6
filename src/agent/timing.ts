/** How often the agent looks and how long it waits. In ms; each is a guess unless it says otherwise. */
export interface Timing {
  /** While the engine starts: the control plane must know within 200 ms that it answers. */
  readonly readinessPollMs: number
  readonly healthPollMs: number
  readonly healthTimeoutMs: number
  /** Without a good health answer for this long a serving engine is called hung. */
  readonly hungAfterMs: number
  /** An engine that is healthy but does not list the model for this long was started under another name. */
  readonly unlistedLimitMs: number
  readonly adoptedPollMs: number
  readonly logPollMs: number
  readonly restartBackOffMs: number
  readonly maxRestartBackOffMs: number
  /** Restarts older than this no longer count against the engine. */
  readonly restartWindowMs: number
  /** How often size and speed of what is installed are told, and a lock that somebody else holds is tried. */
  readonly installPollMs: number
  /** Before a stage of an installation is tried again; it doubles. */
  readonly installBackOffMs: number
  readonly maxInstallBackOffMs: number
}

export const defaultTiming: Timing = {
  readinessPollMs: 100,
  healthPollMs: 5_000,
  healthTimeoutMs: 5_000,
  hungAfterMs: 30_000,
  unlistedLimitMs: 60_000,
  adoptedPollMs: 250,
  logPollMs: 100,
  restartBackOffMs: 1_000,
  maxRestartBackOffMs: 30_000,
  restartWindowMs: 3_600_000,
  installPollMs: 1_000,
  installBackOffMs: 5_000,
  maxInstallBackOffMs: 60_000,
}

/** Of calls to the control plane and gateways. */
export const readTimeoutMs = 10_000
