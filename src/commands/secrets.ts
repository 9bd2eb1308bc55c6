import { Failure } from '../core/failure.ts'
import { whyNotSecretName } from '../core/secret-names.ts'
import { deleteSecretRow, putSecretRow, secretLabel } from '../store/secrets.ts'
import { act } from './act.ts'
import type { Actor, CommandDeps } from './context.ts'

/**
 * Sets what engines get in the variable `name`, from the next join on. The value is sealed before it is stored and is
 * never told again but to a node. @throws Failure `bad_request` for a name that no secret may have.
 */
export function putSecret(
  deps: CommandDeps,
  actor: Actor,
  name: string,
  value: string,
): Promise<{ name: string; createdAt: number }> {
  const wrong = whyNotSecretName(name)
  if (wrong) return Promise.reject(new Failure('bad_request', wrong))
  if (value.includes('\0')) return Promise.reject(new Failure('bad_request', 'A secret holds no NUL character.'))
  const sealed = deps.vault.seal(secretLabel(name), value)
  return act(deps, actor, async (tx, now) => {
    if (!(await putSecretRow(tx, { tenantId: actor.tenantId, name, sealed }, now)))
      throw new Failure('name_taken', `The name ${name} is in use by others.`)
    return { result: { name, createdAt: now }, audit: { action: 'secret.put', target: name } }
  })
}

/** Nodes that have it keep it until they end. @throws Failure `not_found`. */
export function deleteSecret(deps: CommandDeps, actor: Actor, name: string): Promise<{ name: string }> {
  return act(deps, actor, async (tx) => {
    if (!(await deleteSecretRow(tx, actor.tenantId, name)))
      throw new Failure('not_found', `There is no secret ${name}.`)
    return { result: { name }, audit: { action: 'secret.delete', target: name } }
  })
}
