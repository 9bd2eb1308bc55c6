import { sql } from 'kysely'
import type { Db } from './database.ts'

/**
 * The one node that there is, with everything that hangs on it, so many times more. Of the i-th the id is `no-bI`, the name the
 * first one's with `bI` behind it, and the credential `fd_node_no-bI.bench`.
 */
export async function multiplyNode(db: Db, count: number): Promise<void> {
  const each = sql`generate_series(1, ${count}) i`
  // A row of the table with some of its values replaced.
  const like = (row: string, values: ReturnType<typeof sql>) =>
    sql`(jsonb_populate_record(${sql.raw(row)}, jsonb_build_object(${values}))).*`
  await db.transaction().execute(async (tx) => {
    await sql`set local session_replication_role = replica`.execute(tx)
    await sql`update deployments set wanted = wanted + ${count}`.execute(tx)
    await sql`insert into slots select ${like('s', sql`'id', 'sl-b' || i, 'ordinal', i + 1`)} from slots s, ${each}`.execute(
      tx,
    )
    await sql`insert into launches select ${like('l', sql`'id', 'la-b' || i, 'slot_id', 'sl-b' || i`)} from launches l, ${each}`.execute(
      tx,
    )
    await sql`insert into nodes select ${like(
      'n',
      sql`'id', 'no-b' || i, 'name', n.name || 'b' || i, 'launch_id', 'la-b' || i, 'join_instance', 'instance-' || i,
        'credential_hash', encode(sha256(convert_to('fd_node_no-b' || i || '.bench', 'UTF8')), 'hex')`,
    )} from nodes n, ${each}`.execute(tx)
    await sql`insert into attempts select ${like('a', sql`'id', 'at-b' || i, 'launch_id', 'la-b' || i, 'node_id', 'no-b' || i`)}
      from attempts a, ${each}`.execute(tx)
    await sql`insert into signals select ${like('g', sql`'node_id', 'no-b' || i`)} from signals g, ${each}`.execute(tx)
    await sql`insert into sightings select ${like('s', sql`'name', s.name || 'b' || i`)} from sightings s, ${each}`.execute(
      tx,
    )
    await sql`insert into ledger overriding user value select ${like('g', sql`'node_id', 'no-b' || i, 'launch_id', 'la-b' || i`)}
      from ledger g, ${each} where g.closed_at is null`.execute(tx)
    // Spread, as they would be had they come one by one.
    for (const [loop, prefix] of [
      ['launch', 'la-b'],
      ['node', 'no-b'],
    ] as const)
      await sql`insert into claims (loop, row_id, due_at, realm)
        select ${loop}, ${prefix} || i, now() + random() * interval '30 seconds', realm from claims, ${each} where loop = ${loop}`.execute(
        tx,
      )
  })
  await sql`analyze`.execute(db)
}
