import { CallFailure } from '../../src/wire/client.ts'
import { problem } from '../../src/wire/views.ts'
import { client, failureOf } from './client.ts'
import { type Person, session } from './session.ts'

/** Asks who we are, at the start of the page. @throws CallFailure where nobody answers. */
export async function findSession(): Promise<void> {
  try {
    session.began(await client.me())
  } catch (error) {
    // A 401 has ended the session already; anything else is not known, and shown.
    if (failureOf(error).status !== 401) throw error
  }
}

/** @throws CallFailure */
export async function signIn(token: string): Promise<void> {
  const response = await fetch('/api/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  }).catch((error: unknown) => {
    throw failureOf(error)
  })
  const said: unknown = await response.json()
  if (!response.ok) throw new CallFailure(problem.parse(said).error, response.status)
  session.began(said as Person)
}

export async function signOut(): Promise<void> {
  await fetch('/api/session', { method: 'DELETE' })
  session.left()
}
