import { sql } from 'kysely'
import { type Db, json } from './database.ts'

/** A step that a cloud told of a machine. */
export interface ToldStep {
  readonly machine: string
  /** Its place among the machine's steps, the same however often it is told; null: behind those that are known. */
  readonly n: number | null
  readonly text: string
  /** When we heard of it. */
  readonly at: number
}

// A guess: a launch that fails over through many places says a few hundred; whoever reads more reads SkyPilot's log.
const mostSteps = 500
const longestText = 500
// Steps without a place must not take one that a stream has yet to fill.
const unplacedFrom = 1_000_000

/** Writes steps of machines that are still to come. One that is told again, by whichever server, adds nothing. */
export async function saveSteps(db: Db, told: readonly ToldStep[]): Promise<void> {
  for (const steps of together(told)) {
    const rows = steps.map((step) => ({ ...step, text: step.text.slice(0, longestText) }))
    await sql`insert into steps (attempt_id, n, at, text)
      select a.id, coalesce(t.n, known.next), to_timestamp(t.at / 1000.0), t.text
      from jsonb_to_recordset(${json(rows)}::jsonb) as t (machine text, n integer, at float8, text text)
      join nodes on nodes.name = t.machine and nodes.state in ('requesting', 'booting', 'loading')
      join attempts a on a.node_id = nodes.id
      cross join lateral (
        select count(*) as count, greatest(max(n) + 1, ${unplacedFrom}) as next,
          (select text from steps l where l.attempt_id = a.id order by at desc, n desc limit 1) as text
        from steps where attempt_id = a.id) known
      where known.count < ${mostSteps} and (t.n is not null or known.text is distinct from t.text)
      on conflict do nothing`.execute(db)
  }
}

/** As few statements as can be, in their order: a step without a place looks at what is there of its machine before it. */
function together(told: readonly ToldStep[]): ToldStep[][] {
  const runs: ToldStep[][] = []
  let placed = new Map<string, boolean>()
  for (const step of told) {
    const before = placed.get(step.machine)
    const joins = runs.length > 0 && (before === undefined || (before && step.n !== null))
    if (!joins) {
      runs.push([])
      placed = new Map()
    }
    runs.at(-1)?.push(step)
    placed.set(step.machine, step.n !== null)
  }
  return runs
}
