import { type FailureRecord, failureRecord } from '../../core/failure.ts'
import { type SkyApi, SkyError } from './api.ts'
import type { SkyFailure, SkyRequest } from './api-answers.ts'
import { failureOfLaunch, interrupted } from './failures.ts'
import { StreamDecoder } from './stream.ts'

export type LaunchOutcome = 'succeeded' | FailureRecord

type Api = Pick<SkyApi, 'finished' | 'stream'>

// The output of a request that is over comes at once.
const outputMs = 5_000

/** What became of a launch whose request is over. @throws SkyError when the server does not tell. */
export async function outcomeOf(api: Api, { id, state }: SkyRequest): Promise<LaunchOutcome> {
  if (state === 'succeeded') return 'succeeded'
  try {
    const { failure } = await api.finished(id)
    if (failure) return await failureIn(api, id, failure)
  } catch (error) {
    // So servers before 0.14.1 answer for what they cancelled themselves, to be restarted.
    if (!(state === 'cancelled' && error instanceof SkyError && error.kind === 'busy')) throw error
    return interrupted(error.message)
  }
  return state === 'cancelled' ? cancelled() : 'succeeded'
}

/** A place without quota fails as one without room does: what tells them apart is the cloud's own answer. */
async function failureIn(api: Api, id: string, failure: SkyFailure): Promise<FailureRecord> {
  const record = failureOfLaunch(failure)
  return record.code === 'no_capacity' ? failureOfLaunch(failure, await saidByCloud(api, id)) : record
}

/** What SkyPilot wrote of the cloud's answers into the output of the request; of some clouds it writes nothing. */
async function saidByCloud(api: Api, id: string): Promise<string[]> {
  const said = new Set<string>()
  const decoder = new StreamDecoder()
  try {
    for await (const chunk of api.stream(id, AbortSignal.timeout(outputMs)))
      for (const { text } of decoder.push(chunk)) {
        const [, answer] = /^[A-Z]+ handler error: (.+)/.exec(text) ?? []
        if (answer !== undefined) said.add(answer)
      }
  } catch (error) {
    // A line that breaks or takes too long: the failure is known without it.
    if (!(error instanceof SkyError || error instanceof TypeError || error instanceof DOMException)) throw error
  }
  return [...said]
}

const cancelled = (): FailureRecord =>
  failureRecord('cloud_refused', 'The launch was cancelled at the SkyPilot API server.', { retry: 'same' })
