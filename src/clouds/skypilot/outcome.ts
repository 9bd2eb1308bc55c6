import { type FailureRecord, failureRecord } from '../../core/failure.ts'
import { type SkyApi, SkyError } from './api.ts'
import type { SkyRequest } from './api-answers.ts'
import { failureOfLaunch, interrupted } from './failures.ts'

export type LaunchOutcome = 'succeeded' | FailureRecord

/** What became of a launch whose request is over. @throws SkyError when the server does not tell. */
export async function outcomeOf(api: Pick<SkyApi, 'finished'>, { id, state }: SkyRequest): Promise<LaunchOutcome> {
  if (state === 'succeeded') return 'succeeded'
  try {
    const { failure } = await api.finished(id)
    if (failure) return failureOfLaunch(failure)
  } catch (error) {
    // So servers before 0.14.1 answer for what they cancelled themselves, to be restarted.
    if (!(state === 'cancelled' && error instanceof SkyError && error.kind === 'busy')) throw error
    return interrupted(error.message)
  }
  return state === 'cancelled' ? cancelled() : 'succeeded'
}

const cancelled = (): FailureRecord =>
  failureRecord('cloud_refused', 'The launch was cancelled at the SkyPilot API server.', { retry: 'same' })
