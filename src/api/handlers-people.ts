import type { CommandDeps } from '../commands/context.ts'
import { createKey, revokeKey } from '../commands/keys.ts'
import { changeRole, createOperator, disableOperator } from '../commands/operators.ts'
import { deleteSecret, putSecret } from '../commands/secrets.ts'
import type { RouteTables } from '../intake/routes.ts'
import { readAudit, readKeys, readOperators, readSecretNames } from '../store/read-people.ts'
import type { Handlers } from './asked.ts'
import { cursorOf, placeOf } from './cursor.ts'
import { presentAudit, presentKey, presentOperator, presentSecret } from './present-small.ts'
import { theOne } from './views.ts'

type Names =
  | 'listKeys'
  | 'createKey'
  | 'revokeKey'
  | 'listOperators'
  | 'createOperator'
  | 'changeRole'
  | 'disableOperator'
  | 'listSecrets'
  | 'putSecret'
  | 'deleteSecret'
  | 'audit'

// The table is made anew within a few tens of ms; a reply is not held up for longer than a person notices.
const routedWithinMs = 300

export function peopleHandlers(deps: CommandDeps, tables: RouteTables): Handlers<Names> {
  const { db } = deps.store
  /** Answers once the gateways that wait for news have it: a key that is shown works, one that is revoked does not. */
  async function routed<T>(change: () => Promise<T>): Promise<T> {
    const { version } = await tables.current()
    const done = await change()
    await tables.waitAfter(version, routedWithinMs)
    return done
  }
  const key = async (tenantId: string, id: string) => presentKey(theOne(await readKeys(db, tenantId, id), `key ${id}`))
  const operator = async (tenantId: string, id: string) =>
    presentOperator(theOne(await readOperators(db, tenantId, id), `operator ${id}`))
  return {
    listKeys: async ({ actor }) => ({ items: (await readKeys(db, actor.tenantId)).map(presentKey) }),
    async createKey({ actor, body }) {
      const made = await routed(() => createKey(deps, actor, body))
      return { ...(await key(actor.tenantId, made.keyId)), key: made.key }
    },
    async revokeKey({ actor, id }) {
      await routed(() => revokeKey(deps, actor, id))
      return key(actor.tenantId, id)
    },
    listOperators: async ({ actor }) => ({ items: (await readOperators(db, actor.tenantId)).map(presentOperator) }),
    async createOperator({ actor, body }) {
      const made = await createOperator(deps, actor, body)
      return { ...(await operator(actor.tenantId, made.operatorId)), token: made.token }
    },
    async changeRole({ actor, id, body }) {
      await changeRole(deps, actor, id, body.role)
      return operator(actor.tenantId, id)
    },
    async disableOperator({ actor, id }) {
      await disableOperator(deps, actor, id)
      return operator(actor.tenantId, id)
    },
    listSecrets: async ({ actor }) => ({ items: (await readSecretNames(db, actor.tenantId)).map(presentSecret) }),
    putSecret: async ({ actor, id, body }) => presentSecret(await putSecret(deps, actor, id, body.value)),
    deleteSecret: ({ actor, id }) => deleteSecret(deps, actor, id),
    async audit({ query: { limit, cursor, ...wish } }) {
      const place = placeOf(cursor)
      const lines = await readAudit(db, wish, limit, place && Number(place.id))
      const last = lines.length > limit ? lines[limit - 1] : undefined
      const nextCursor = last ? cursorOf({ createdAt: last.at, id: String(last.id) }) : null
      return { items: lines.slice(0, limit).map(presentAudit), nextCursor }
    },
  }
}
