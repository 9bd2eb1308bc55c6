import { Failure } from '../core/failure.ts'

/** Where the next page begins. A cursor is ours alone: its inside may change, so nobody should read it. */
export interface Place {
  readonly createdAt: number
  readonly id: string
}

export const cursorOf = ({ createdAt, id }: Place): string => Buffer.from(`${createdAt}:${id}`).toString('base64url')

/** @throws Failure `bad_request` for anything that is no cursor of ours. */
export function placeOf(cursor: string | undefined): Place | null {
  if (cursor === undefined) return null
  const found = /^(\d{1,16}):([\w-]{1,64})$/.exec(Buffer.from(cursor, 'base64url').toString())
  if (found?.[1] && found[2]) return { createdAt: Number(found[1]), id: found[2] }
  throw new Failure(
    'bad_request',
    'query.cursor: not a cursor of this list',
    {},
    { fields: [{ field: 'query.cursor', must: 'the nextCursor of a page before' }] },
  )
}

/** A page of what was read with one row more than the limit: that row only says that there is more. */
export function pageOf<R extends Place, V>(rows: readonly R[], limit: number, present: (row: R) => V) {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return { items: shown.map(present), nextCursor: rows.length > limit && last ? cursorOf(last) : null }
}

/** States as a query names them: separated by commas. @throws Failure `bad_request` that names the ones there are. */
export function statesIn<S extends string>(text: string | undefined, known: readonly S[]): readonly S[] | null {
  if (text === undefined || text === '') return null
  const named = text.split(',').map((name) => name.trim())
  const states = known.filter((state) => named.includes(state))
  if (named.every((name) => (known as readonly string[]).includes(name))) return states
  const must = `some of ${known.join(', ')}, separated by commas`
  throw new Failure('bad_request', `query.state: ${must}`, {}, { fields: [{ field: 'query.state', must }] })
}
