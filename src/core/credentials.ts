import { isStale, type OfferRead } from './offer.ts'
import { isThisHost } from './recipe.ts'

export const credentialAnswers = ['not_needed', 'work', 'refused', 'unknown'] as const
export type CredentialAnswer = (typeof credentialAnswers)[number]

/**
 * What the cloud's server answered when it was asked last. `work`: it can use the cloud as of its last `sky check`; what
 * has expired since it does not know.
 */
export function credentialsOf(read: OfferRead, now: number): CredentialAnswer {
  if (isThisHost(read.cloud)) return 'not_needed'
  if (read.failure) return read.failure.code === 'cloud_credentials' ? 'refused' : 'unknown'
  return isStale(read, now) ? 'unknown' : 'work'
}
