import { Failure } from '../core/failure.ts'
import { tokenKind } from '../core/tokens.ts'
import { sha256 } from '../lib/chance.ts'
import type { Clock } from '../lib/clock.ts'

export interface FailedLogins {
  /** @throws Failure `rate_limited` (details.retryAfterS) for a token that was never good here. */
  refuseTooMany(token: string, address: string): void
  failed(token: string, address: string): void
  succeeded(token: string): void
}

// A token cannot be guessed; what is bounded is the load and the noise of trying.
const mostFailures = 30
const windowMs = 60_000
const mostRemembered = 10_000

/**
 * Counts failed authentications of an address, for each kind of token: one broken agent does not lock the people out.
 * A token that was good before passes on, so that nobody is locked out by a stranger behind the same address.
 */
export function makeFailedLogins(clock: Clock): FailedLogins {
  const counts = new Map<string, { failures: number; since: number }>()
  const good = new Set<string>()
  const keyOf = (token: string, address: string) => `${address} ${tokenKind(token)}`
  return {
    refuseTooMany(token, address) {
      const count = counts.get(keyOf(token, address))
      if (!count || count.failures < mostFailures) return
      const leftMs = count.since + windowMs - clock.monotonicMs()
      if (leftMs <= 0 || good.has(sha256(token))) return
      const details = { retryAfterS: Math.ceil(leftMs / 1_000) }
      throw new Failure('rate_limited', `Too many refused tokens came from ${address}.`, {}, details)
    },
    failed(token, address) {
      const key = keyOf(token, address)
      const now = clock.monotonicMs()
      const before = counts.get(key)
      const count = before && now - before.since < windowMs ? before : { failures: 0, since: now }
      count.failures += 1
      if (counts.size >= mostRemembered) counts.clear()
      counts.set(key, count)
    },
    succeeded(token) {
      if (good.size >= mostRemembered) good.clear()
      good.add(sha256(token))
    },
  }
}
