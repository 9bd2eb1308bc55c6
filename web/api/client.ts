import { CallFailure, type Client, makeClient } from '../../src/wire/client.ts'
import { serverClock } from '../clock/server-clock.ts'
import { session } from './session.ts'

/** A call of the address that the page came from; each says what time it is at the server, and whether we are still signed in. */
export const speak: typeof fetch = async (input, init) => {
  const sentAt = performance.now()
  const response = await fetch(input, init)
  const date = Date.parse(response.headers.get('date') ?? '')
  // The header has whole seconds, cut off.
  if (!Number.isNaN(date)) serverClock.learn(date + 500, 500 + (performance.now() - sentAt))
  if (response.status === 401) session.ended()
  return response
}

/** The control API of the address that the page came from; the cookie goes along by itself. */
export const client: Client = makeClient({ url: '', token: null, fetch: speak })

/** What is shown of anything that went wrong. */
export function failureOf(error: unknown): CallFailure {
  if (error instanceof CallFailure) return error
  const cause = error instanceof Error ? error.message : String(error)
  const remedy = 'Load the page again. If it comes again, this is a fault of the dashboard.'
  return new CallFailure(
    { code: 'internal', fault: 'us', retry: 'later', cause, remedy, requestId: '', details: {} },
    0,
  )
}
