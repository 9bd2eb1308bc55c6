export interface Line {
  readonly name: string
  readonly values: readonly (number | null)[]
  /** The colour of the line, and of its name beside it. */
  readonly look: 'main' | 'second' | 'bad' | 'soft'
}

export interface ToldRow {
  /** Epoch seconds. */
  readonly x: number
  /** One of each line. */
  readonly values: readonly (number | null)[]
}

/**
 * What lines say at `most` moments, the newest first, at the same distance from each other: each is one that was told, and no
 * mean. Moments at which nothing was told are left out.
 */
export function toldRows(xs: readonly number[], lines: readonly Line[], most: number): readonly ToldRow[] {
  const step = Math.ceil(xs.length / most)
  return xs
    .map((x, i) => ({ x, values: lines.map(({ values }) => values[i] ?? null) }))
    .reverse()
    .filter(({ values }) => values.some((value) => value !== null))
    .filter((_, i) => i % step === 0)
}
