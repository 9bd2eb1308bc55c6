import { type CliFailure, usage } from './exit.ts'
import { plainLine } from './plain-text.ts'

export interface Named {
  readonly id: string
  readonly name?: string
}

const listedMatches = 8

/** The one thing that is meant: a whole name or id first, else a beginning that only one of them has. */
export function pickOne<T extends Named>(items: readonly T[], given: string, kind: string, listing: string): T {
  const exact = items.filter(({ id, name }) => id === given || name === given)
  const found = exact.length > 0 ? exact : items.filter((item) => beginsWith(item, given))
  const [only] = found
  if (only && found.length === 1) return only
  if (!only) throw usage(`There is no ${kind} "${plainLine(given)}".`, `List what there is with \`${listing}\`.`)
  throw ambiguous(found, given, kind)
}

/** Whether the word is the beginning of a name, of an id, or of the id without its kind. */
export const beginsWith = ({ id, name }: Named, given: string): boolean => {
  const bare = id.slice(id.indexOf('-') + 1)
  return given !== '' && [id, bare, name ?? ''].some((text) => text.startsWith(given))
}

function ambiguous(found: readonly Named[], given: string, kind: string): CliFailure {
  const shown = found.slice(0, listedMatches).map(({ id, name }) => (name ? `${id} (${plainLine(name)})` : id))
  const more = found.length > listedMatches ? ` and ${found.length - listedMatches} more` : ''
  return usage(
    `"${plainLine(given)}" could be ${found.length} of the ${kind}s: ${shown.join(', ')}${more}.`,
    'Give more letters, or the whole id.',
  )
}

/** A whole id needs no look-up. */
export const isWholeId = (given: string): boolean => /^[a-z]{2}-[0-9a-z]{10}$/.test(given)
