import type { Command } from 'commander'
import { answer, type Context } from './context.ts'
import { wholeFor } from './option-values.ts'

export interface PageOptions {
  readonly limit: number
  readonly after?: string
}

interface Page<T> {
  readonly items: readonly T[]
  readonly nextCursor: string | null
}

/** Asks for one page: this many items at most, from after the cursor. */
type Ask<T> = (query: { limit: number; cursor: string | undefined }) => Promise<Page<T>>

/** What one call of the API gives at most. */
const mostPerCall = 500

export function addPageOptions(command: Command, limit: number): Command {
  return command
    .option('--limit <n>', 'this many at most', wholeFor('--limit', 1), limit)
    .option('--after <cursor>', 'go on where a list before ended')
}

/** The first `limit` items from after a cursor, in as many calls as that takes. */
export async function readPages<T>({ limit, after }: PageOptions, ask: Ask<T>): Promise<Page<T>> {
  const items: T[] = []
  let cursor = after
  for (;;) {
    const page = await ask({ limit: Math.min(mostPerCall, limit - items.length), cursor })
    items.push(...page.items)
    if (page.nextCursor === null || items.length >= limit) return { items, nextCursor: page.nextCursor }
    cursor = page.nextCursor
  }
}

/** Every item of a list. */
export async function allOf<T>(ask: Ask<T>): Promise<readonly T[]> {
  return (await readPages({ limit: Number.POSITIVE_INFINITY }, ask)).items
}

/** Answers with one page of a list, and tells people how to get the next. */
export async function answerPage<T>(
  context: Context,
  options: PageOptions,
  ask: Ask<T>,
  text: (items: readonly T[]) => string,
): Promise<void> {
  const page = await readPages(options, ask)
  answer(context, page, ({ items }) => text(items))
  if (page.nextCursor !== null && !context.json)
    context.terminal.err(`There are more: --after ${page.nextCursor} shows what follows.\n`)
}
