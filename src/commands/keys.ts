import { Failure } from '../core/failure.ts'
import { tokenPrefixes } from '../core/tokens.ts'
import { randomName, randomToken, sha256 } from '../lib/chance.ts'
import { addKey, revokeKeyRow } from '../store/keys.ts'
import { act } from './act.ts'
import type { Actor, CommandDeps } from './context.ts'

/**
 * Makes an API key of the gateway. Only its hash is kept: this is the one time that the key itself is told.
 * @throws Failure `name_taken` while a living key has the name.
 */
export function createKey(
  deps: CommandDeps,
  actor: Actor,
  { name, models }: { name: string; models: readonly string[] | null },
): Promise<{ keyId: string; key: string }> {
  const key = randomToken(tokenPrefixes.key)
  const keyId = `ke-${randomName(10)}`
  return act(deps, actor, async (tx, now) => {
    const { tenantId, name: createdBy } = actor
    const row = { id: keyId, tenantId, name, hash: sha256(key), last4: key.slice(-4), models, createdBy }
    if (!(await addKey(tx, row, now))) throw new Failure('name_taken', `There is a living key "${name}" already.`)
    return { result: { keyId, key }, audit: { action: 'key.create', target: keyId, detail: { name, models } } }
  })
}

/** Revoking twice is revoking once. @throws Failure `not_found`. */
export function revokeKey(deps: CommandDeps, actor: Actor, id: string): Promise<{ keyId: string }> {
  return act(deps, actor, async (tx, now) => {
    const key = await revokeKeyRow(tx, actor.tenantId, id, now)
    if (!key) throw new Failure('not_found', `There is no key ${id}.`)
    const audit = key.revoked ? { action: 'key.revoke', target: id, detail: { name: key.name } } : null
    return { result: { keyId: id }, audit }
  })
}
