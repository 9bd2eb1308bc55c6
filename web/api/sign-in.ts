import { client, failureOf } from './client.ts'
import { session } from './session.ts'

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
  session.began(await client.signIn({ body: { token } }))
}

export async function signOut(): Promise<void> {
  await client.signOut()
  session.left()
}
