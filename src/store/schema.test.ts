import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchOutcomes, launchStates } from '../core/launch-table.ts'
import { duties } from '../core/ledger.ts'
import { nodeStates } from '../core/node-table.ts'
import { roles } from '../core/tokens.ts'
import { verdicts } from '../core/verdict-table.ts'
import type { Database } from './tables.ts'
import { type TestStore, testStore } from './test-database.ts'

let base: TestStore
beforeAll(async () => {
  base = await testStore()
})
afterAll(() => base.drop())

/** Every word of a type, or it does not compile. */
const words = <Word extends string>(all: Record<Word, true>): string[] => Object.keys(all)
type WordsOf<Table extends keyof Database, Column extends keyof Database[Table]> = Extract<
  Database[Table][Column] extends { readonly __select__: infer Selected } ? Selected : Database[Table][Column],
  string
>

/** What the code of today may store where a column takes one of several words. */
const known: Record<string, readonly string[]> = {
  'operators.role': roles,
  'launches.state': launchStates,
  'launches.outcome': launchOutcomes,
  'launches.origin': words<WordsOf<'launches', 'origin'>>({ hand: true, deployment: true }),
  'launches.unwanted_outcome': words<WordsOf<'launches', 'unwanted_outcome'>>({ cancelled: true, ended: true }),
  'nodes.state': nodeStates,
  'nodes.verdict': verdicts,
  'attempts.outcome': words<WordsOf<'attempts', 'outcome'>>({ served: true, failed: true, withdrawn: true }),
  'sightings.seen': words<WordsOf<'sightings', 'seen'>>({ present: true, absent: true, asked: true }),
  'ledger.kind': words<WordsOf<'ledger', 'kind'>>({ usage: true, correction: true }),
  'ledger.duty': duties,
}

test('a migrated database takes every word that the code stores, and no other: who adds one adds a migration', async () => {
  const { rows } = await sql<{ name: string; definition: string }>`
    select c.conrelid::regclass || '.' || a.attname as name, pg_get_constraintdef(c.oid) as definition
    from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype = 'c' and cardinality(c.conkey) = 1 and pg_get_constraintdef(c.oid) like '%ARRAY[%'`.execute(
    base.store.db,
  )
  const stored = rows.map(({ name, definition }) => [
    name,
    [...definition.matchAll(/'([^']*)'::text/g)].map(([, word]) => word).sort(),
  ])
  const expected = Object.entries(known).map(([name, all]) => [name, all.toSorted()])
  expect(Object.fromEntries(stored)).toEqual(Object.fromEntries(expected))
})

test('nodes are listed by state, by deployment and by launch, and deployments by model, with an index', async () => {
  const { rows } = await sql<{ first: string }>`
    select t.relname || '.' || a.attname as first
    from pg_index i join pg_class t on t.oid = i.indrelid join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0]
    where i.indpred is null`.execute(base.store.db)
  const indexed = rows.map(({ first }) => first)
  const wanted = ['nodes.state', 'nodes.deployment_id', 'nodes.launch_id', 'deployments.model', 'launches.state']
  expect(indexed).toEqual(expect.arrayContaining(wanted))
})
