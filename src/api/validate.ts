import { Failure } from '../core/failure.ts'
import type { Route } from '../wire/routes.ts'

type Schema = Route['reply']
type Issue = NonNullable<ReturnType<Schema['safeParse']>['error']>['issues'][number]

export interface FieldFault {
  readonly field: string
  readonly must: string
}

/** What the schema makes of a value. @throws Failure `bad_request` that names each field and what it must be. */
export function checked(schema: Schema, value: unknown, where: 'body' | 'query' | 'path'): unknown {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const fields = parsed.error.issues.flatMap((issue) => faultsOf(issue, where))
  const cause = fields.map(({ field, must }) => `${field}: ${must}`).join('; ')
  throw new Failure('bad_request', cause.slice(0, 4_000), {}, { fields })
}

function faultsOf(issue: Issue, where: string): FieldFault[] {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: [where, ...path, key].join('.').slice(0, 200), must: 'no such field' }))
  }
  return [{ field: [where, ...path].join('.').slice(0, 200), must: issue.message }]
}

/** Throws when a reply is not exactly what the contract says: a field too many would be a leak. For tests. */
export function checkReply(schema: Schema, name: string, value: unknown): void {
  const sent: unknown = JSON.parse(JSON.stringify(value ?? null))
  const parsed = schema.safeParse(sent)
  if (!parsed.success) throw new Error(`the reply of ${name} breaks its contract: ${parsed.error.message}`)
  const extra = firstExtra(sent, parsed.data, name)
  if (extra) throw new Error(`the reply of ${name} tells more than its contract: ${extra}`)
}

function firstExtra(sent: unknown, known: unknown, at: string): string | null {
  if (typeof sent !== 'object' || sent === null || typeof known !== 'object' || known === null) return null
  for (const [key, inner] of Object.entries(sent)) {
    if (!Object.hasOwn(known, key)) return `${at}.${key}`
    const deeper = firstExtra(inner, (known as Record<string, unknown>)[key], `${at}.${key}`)
    if (deeper) return deeper
  }
  return null
}
