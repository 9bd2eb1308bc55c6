import { Failure } from '../core/failure.ts'
import { canonicalJson } from '../lib/canonical.ts'
import { sha256 } from '../lib/chance.ts'
import type { Db, Tx } from '../store/database.ts'
import type { AskedBefore, Asker } from '../store/launch-requests.ts'
import { isTaken } from '../store/transact.ts'
import type { Actor } from './context.ts'

/** A kind of thing that is made once for each idempotency key of a person. */
export interface MadeOnce {
  readonly noun: string
  /** The unique index that is the last word. */
  readonly index: string
  before(db: Db | Tx, who: Asker, key: string): Promise<AskedBefore | null>
}

export interface Made {
  readonly id: string
  /** False: the same request made it before. */
  readonly created: boolean
}

export interface Asking {
  readonly key: string | null
  readonly requestHash: string
  /** What the same request made before. @throws Failure `idempotency_mismatch` where another one had the key. */
  madeBefore(db: Db | Tx): Promise<Made | null>
}

/**
 * Makes a thing, or finds it where the same request came before under the same key, also when both come at once.
 * @throws Failure `idempotency_mismatch`, and whatever `make` throws.
 */
export async function once(
  db: Db,
  kind: MadeOnce,
  who: Actor,
  { request, key }: { readonly request: unknown; readonly key: string | null },
  make: (asking: Asking) => Promise<Made>,
): Promise<Made> {
  const requestHash = sha256(canonicalJson(request))
  const madeBefore = async (seen: Db | Tx) => {
    const before = key && (await kind.before(seen, who, key))
    return before ? sameAs(before, requestHash, kind.noun) : null
  }
  // Looked up first: a repeated request must find what it made also when it would be refused by now.
  const before = await madeBefore(db)
  if (before) return before
  try {
    return await make({ key, requestHash, madeBefore })
  } catch (error) {
    // Another server was faster with the same key; what it made is there now.
    const again = isTaken(error, kind.index) ? await madeBefore(db) : null
    if (again) return again
    throw error
  }
}

function sameAs({ id, requestHash: had }: AskedBefore, requestHash: string, noun: string): Made {
  if (had === requestHash) return { id, created: false }
  const cause = `The idempotency key was used before, for ${noun} ${id}, with another request.`
  throw new Failure('idempotency_mismatch', cause, {}, { [`${noun}Id`]: id })
}
