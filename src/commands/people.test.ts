import { afterEach, beforeEach, expect, test } from 'vitest'
import { sha256 } from '../lib/chance.ts'
import { type TestWorld, testWorld } from '../store/world-for-tests.ts'
import { createKey, revokeKey } from './keys.ts'
import { authenticate, changeRole, createOperator, disableOperator, ensureFirstAdmin } from './operators.ts'
import { deleteSecret, putSecret } from './secrets.ts'

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

const adminToken = 'fd_op_the-token-of-the-first-admin'
const db = () => world.deps.store.db

/** Everything that the database holds, as text. */
async function everyRow(): Promise<string> {
  const { store } = world.deps
  const tables = await store.db.introspection.getTables()
  const rows = await Promise.all(
    tables.map(({ name }) =>
      store.db
        .selectFrom(name as 'audit')
        .selectAll()
        .execute(),
    ),
  )
  return JSON.stringify(rows, (_key, value: unknown) =>
    // A buffer is looked at as the characters that it may hold.
    typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer'
      ? Buffer.from((value as unknown as { data: number[] }).data).toString('latin1')
      : value,
  )
}

test('the first admin is made once, by whoever is first', async () => {
  const tokens = ['fd_op_one', 'fd_op_two', 'fd_op_three']
  const made = await Promise.all(tokens.map((token) => ensureFirstAdmin(world.deps, token)))
  expect(made.filter(Boolean)).toHaveLength(1)
  const known = await Promise.all(tokens.map((token) => authenticate(world.deps, token, '10.1.1.1')))
  expect(known.map((actor) => actor !== null)).toEqual(made)
  expect(known[made.indexOf(true)]).toMatchObject({
    name: 'admin',
    role: 'admin',
    tenantId: 'te-default',
    address: '10.1.1.1',
  })
  expect(await ensureFirstAdmin(world.deps, 'fd_op_four')).toBe(false)
})

test('a token opens the door for its person alone, until that person is disabled', async () => {
  await ensureFirstAdmin(world.deps, adminToken)
  const { operatorId, token } = await createOperator(world.deps, world.actor, { name: 'bob', role: 'viewer' })
  expect(await authenticate(world.deps, token)).toMatchObject({ id: operatorId, name: 'bob', role: 'viewer' })
  for (const wrong of [`${token}x`, token.replace('fd_op_', 'fd_key_'), '', sha256(token)])
    expect(await authenticate(world.deps, wrong)).toBeNull()
  await disableOperator(world.deps, world.actor, operatorId)
  await disableOperator(world.deps, world.actor, operatorId)
  expect(await authenticate(world.deps, token)).toBeNull()
  const again = createOperator(world.deps, world.actor, { name: 'bob', role: 'viewer' })
  await expect(again).rejects.toMatchObject({ code: 'name_taken' })
})

test('the last admin cannot be disabled, also not by two who disable each other at once', async () => {
  await ensureFirstAdmin(world.deps, adminToken)
  const first = await db().selectFrom('operators').select('id').executeTakeFirstOrThrow()
  await expect(disableOperator(world.deps, world.actor, first.id)).rejects.toMatchObject({ code: 'wrong_state' })
  const { operatorId } = await createOperator(world.deps, world.actor, { name: 'bob', role: 'admin' })
  const both = await Promise.allSettled(
    [first.id, operatorId].map((id) => disableOperator(world.deps, world.actor, id)),
  )
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
})

test('a role is changed with a line in the audit, once; who is disabled or not there gets none', async () => {
  await ensureFirstAdmin(world.deps, adminToken)
  const { operatorId, token } = await createOperator(world.deps, world.actor, { name: 'bob', role: 'viewer' })
  await changeRole(world.deps, world.actor, operatorId, 'operator')
  await changeRole(world.deps, world.actor, operatorId, 'operator')
  expect(await authenticate(world.deps, token)).toMatchObject({ role: 'operator' })
  const told = await db().selectFrom('audit').select('detail').where('action', '=', 'operator.role').execute()
  expect(told).toEqual([{ detail: { name: 'bob', from: 'viewer', to: 'operator' } }])
  await disableOperator(world.deps, world.actor, operatorId)
  const disabled = changeRole(world.deps, world.actor, operatorId, 'admin')
  await expect(disabled).rejects.toMatchObject({ code: 'wrong_state' })
  const nobody = changeRole(world.deps, world.actor, 'op-nope', 'admin')
  await expect(nobody).rejects.toMatchObject({ code: 'not_found' })
})

test('the last admin keeps the role, also when two take it from each other at once', async () => {
  await ensureFirstAdmin(world.deps, adminToken)
  const first = await db().selectFrom('operators').select('id').executeTakeFirstOrThrow()
  await expect(changeRole(world.deps, world.actor, first.id, 'viewer')).rejects.toMatchObject({ code: 'wrong_state' })
  const { operatorId } = await createOperator(world.deps, world.actor, { name: 'bob', role: 'admin' })
  const both = await Promise.allSettled(
    [first.id, operatorId].map((id) => changeRole(world.deps, world.actor, id, 'viewer')),
  )
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
})

test('a key is told once and kept as a hash; its name is free again once it is revoked', async () => {
  const ask = { name: 'ci', models: ['sim-small'] }
  const { keyId, key } = await createKey(world.deps, world.actor, ask)
  const row = await db().selectFrom('api_keys').selectAll().executeTakeFirstOrThrow()
  expect(row).toMatchObject({ id: keyId, key_hash: sha256(key), last4: key.slice(-4), models: ['sim-small'] })
  await expect(createKey(world.deps, world.actor, ask)).rejects.toMatchObject({ code: 'name_taken' })
  await revokeKey(world.deps, world.actor, keyId)
  await revokeKey(world.deps, world.actor, keyId)
  expect((await createKey(world.deps, world.actor, { ...ask, models: null })).keyId).not.toBe(keyId)
  await expect(revokeKey(world.deps, world.actor, 'ke-nope')).rejects.toMatchObject({ code: 'not_found' })
  const audit = await db().selectFrom('audit').select('action').orderBy('id').execute()
  expect(audit.map(({ action }) => action)).toEqual(['key.create', 'key.revoke', 'key.create'])
})

test('no token, key or secret is found in any row of the database', async () => {
  await ensureFirstAdmin(world.deps, adminToken)
  const { token } = await createOperator(world.deps, world.actor, { name: 'bob', role: 'viewer' })
  const { key } = await createKey(world.deps, world.actor, { name: 'ci', models: null })
  await putSecret(world.deps, world.actor, 'HF_TOKEN', 'hf_canary_value')
  const rows = await everyRow()
  expect(rows).toContain('HF_TOKEN')
  for (const secret of [adminToken, token, key, 'hf_canary_value']) expect(rows).not.toContain(secret)
})

test('a secret is replaced, forgotten, and may not change which code an engine runs', async () => {
  await putSecret(world.deps, world.actor, 'HF_TOKEN', 'one')
  await putSecret(world.deps, world.actor, 'HF_TOKEN', 'two')
  const row = await db().selectFrom('secrets').selectAll().executeTakeFirstOrThrow()
  expect(world.deps.vault.open('secret:HF_TOKEN', row.sealed)).toBe('two')
  expect(() => world.deps.vault.open('secret:OTHER', row.sealed)).toThrow()
  await deleteSecret(world.deps, world.actor, 'HF_TOKEN')
  await expect(deleteSecret(world.deps, world.actor, 'HF_TOKEN')).rejects.toMatchObject({ code: 'not_found' })
  for (const name of ['PATH', 'LD_PRELOAD', 'PYTHONPATH', 'NODE_OPTIONS', 'BASH_ENV', 'hf_token', '1A', 'A B', ''])
    await expect(putSecret(world.deps, world.actor, name, 'x')).rejects.toMatchObject({ code: 'bad_request' })
})
