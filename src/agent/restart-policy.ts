import { backOff } from './orders.ts'

export interface RestartView {
  /** False until the engine has answered for the first time in the node's life. */
  readonly everServed: boolean
  /** Epoch ms of restarts so far. */
  readonly recentRestarts: readonly number[]
  readonly maxRestarts: number
  readonly now: number
}

export interface RestartLimits {
  readonly restartBackOffMs: number
  readonly maxRestartBackOffMs: number
  readonly restartWindowMs: number
}

/** Wait before the next start, or null to give up: a start that fails is the launch's to retry, maybe elsewhere. */
export function restartAfterMs(view: RestartView, limits: RestartLimits): number | null {
  if (!view.everServed) return null
  const counting = stillCounting(view.recentRestarts, view.now, limits)
  if (counting.length >= view.maxRestarts) return null
  return backOff(counting.length + 1, limits.restartBackOffMs, limits.maxRestartBackOffMs)
}

/** An engine that dies once a week must not use up its restarts in a month. */
export function stillCounting(restarts: readonly number[], now: number, limits: RestartLimits): number[] {
  return restarts.filter((at) => now - at < limits.restartWindowMs)
}
