import { Failure } from '../core/failure.ts'
import { type Role, tokenKind, tokenPrefixes } from '../core/tokens.ts'
import { randomName, randomToken, sha256 } from '../lib/chance.ts'
import { type Tx, tell } from '../store/database.ts'
import {
  addOperator,
  disableOperatorRow,
  lockAdminsAnd,
  noOperatorYet,
  type Operator,
  operatorByToken,
  saveRole,
} from '../store/operators.ts'
import { endSessionsOf } from '../store/sessions.ts'
import { act } from './act.ts'
import type { Actor, CommandDeps } from './context.ts'
import { sessionTopic } from './sessions.ts'

/** Who a bearer token belongs to, or null: unknown, of another kind, or disabled. */
export async function authenticate(
  deps: Pick<CommandDeps, 'store'>,
  token: string,
  address: string | null = null,
): Promise<Actor | null> {
  if (tokenKind(token) !== 'operator') return null
  const found = await operatorByToken(deps.store.db, sha256(token))
  return found && { id: found.id, name: found.name, role: found.role, tenantId: found.tenantId, address }
}

function newOperator(name: string, role: Role, tenantId: string, token = randomToken(tokenPrefixes.operator)) {
  const id = `op-${randomName(10)}`
  return { token, row: { id, tenantId, name, role, tokenHash: sha256(token), last4: token.slice(-4) } }
}

/** Adds a person. Only the token's hash is kept: it is told once. @throws Failure `name_taken`. */
export function createOperator(
  deps: CommandDeps,
  actor: Actor,
  { name, role }: { name: string; role: Role },
): Promise<{ operatorId: string; token: string }> {
  const { token, row } = newOperator(name, role, actor.tenantId)
  return act(deps, actor, async (tx, now) => {
    if (!(await addOperator(tx, row, now)))
      throw new Failure('name_taken', `The name "${name}" is or was somebody's already.`)
    return {
      result: { operatorId: row.id, token },
      audit: { action: 'operator.create', target: row.id, detail: { name, role } },
    }
  })
}

/**
 * Gives a person another role, from the next thing that they ask. The one that they have already changes nothing.
 * @throws Failure `not_found`, or `wrong_state` for who is disabled and for the last admin.
 */
export function changeRole(deps: CommandDeps, actor: Actor, id: string, role: Role): Promise<{ operatorId: string }> {
  return act(deps, actor, async (tx) => {
    const { person, isLastAdmin } = await heldPerson(tx, actor, id)
    const { name } = person
    if (person.disabled) throw new Failure('wrong_state', `${name} is disabled.`)
    const result = { operatorId: id }
    if (person.role === role) return { result, audit: null }
    if (isLastAdmin) throw lastAdmin(name)
    await saveRole(tx, id, role)
    return { result, audit: { action: 'operator.role', target: id, detail: { name, from: person.role, to: role } } }
  })
}

/**
 * Takes a person's token out of use, for good. Disabling twice is disabling once.
 * @throws Failure `not_found`, or `wrong_state` for the last admin: nobody could undo that.
 */
export function disableOperator(deps: CommandDeps, actor: Actor, id: string): Promise<{ operatorId: string }> {
  return act(deps, actor, async (tx, now) => {
    const { person, isLastAdmin } = await heldPerson(tx, actor, id)
    const result = { operatorId: id }
    if (person.disabled) return { result, audit: null }
    if (isLastAdmin) throw lastAdmin(person.name)
    await disableOperatorRow(tx, id, now)
    await endSessionsOf(tx, id)
    await tell(tx, [sessionTopic(id)])
    return { result, audit: { action: 'operator.disable', target: id, detail: { name: person.name } } }
  })
}

/** All admins are held until the end: two who take the role from each other at once would leave none. */
async function heldPerson(
  tx: Tx,
  { tenantId }: Actor,
  id: string,
): Promise<{ person: Operator; isLastAdmin: boolean }> {
  const people = await lockAdminsAnd(tx, tenantId, id)
  const person = people.find((one) => one.id === id)
  if (!person) throw new Failure('not_found', `There is no operator ${id}.`)
  const others = people.filter((one) => one.role === 'admin' && !one.disabled && one.id !== id)
  return { person, isLastAdmin: person.role === 'admin' && others.length === 0 }
}

const lastAdmin = (name: string): Failure =>
  new Failure('wrong_state', `${name} is the last admin.`, { remedy: 'Make another admin first.' })

/**
 * Makes the first admin with a token that the caller has already kept: had we drawn it here and died before it was
 * shown, nobody could ever sign in. False when somebody is there already. Several servers may ask at once.
 */
export function ensureFirstAdmin(
  deps: Pick<CommandDeps, 'store' | 'clock'>,
  token: string,
  tenantId = 'te-default',
): Promise<boolean> {
  const { row } = newOperator('admin', 'admin', tenantId, token)
  return act<boolean>(deps, { name: 'flightdeck', address: null }, async (tx, now) => {
    if (!(await noOperatorYet(tx))) return { result: false, audit: null }
    await addOperator(tx, row, now)
    const detail = { name: 'admin', role: 'admin' }
    return { result: true, audit: { action: 'operator.create', target: row.id, detail } }
  })
}
