import type { CatalogModel } from '../../src/core/catalog.ts'
import { type EngineName, engineNames } from '../../src/core/engine-presets.ts'

/** What is called by a name, with what the catalogue knows of it. */
export type Known<T extends { readonly name: string; readonly source: string; readonly description: string }> = T & {
  readonly card: CatalogModel | null
}

/** Those in which every word of the search occurs, in whatever is told of them. */
export function findModels<T extends Known<{ name: string; source: string; description: string }>>(
  models: readonly T[],
  search: string,
): T[] {
  const words = search.toLowerCase().split(/\s+/)
  return models.filter(({ name, source, description, card }) => {
    const told = [name, source, description, card?.id, card?.kind, card?.licence].join(' ').toLowerCase()
    return words.every((word) => told.includes(word))
  })
}

/** The engine of a model as this page knows it; null where the server is of another version. */
export const engineNamed = (name: string): EngineName | null => engineNames.find((one) => one === name) ?? null
