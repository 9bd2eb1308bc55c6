import type { CatalogModel } from '../../src/core/catalog.ts'
import { type EngineName, engineNames } from '../../src/core/engine-presets.ts'
import { sourceKind } from '../../src/core/recipe-model.ts'

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

/** The entry of the configuration that makes a model launchable; or what is wrong with its address. */
export function configurationOf(source: string): { name: string; engine: 'vllm'; source: string } | string {
  if (sourceKind(source) === 'path' && !source.startsWith('/'))
    return 'Write owner/name as on the hub, a bucket like s3://bucket/folder, or a folder of the machine that begins with a slash.'
  const last = source.split('/').filter(Boolean).at(-1) ?? ''
  const name = last
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63)
  return name === '' ? 'Write the whole address, to the folder that holds the model.' : { name, engine: 'vllm', source }
}

/** The engine of a model as this page knows it; null where the server is of another version. */
export const engineNamed = (name: string): EngineName | null => engineNames.find((one) => one === name) ?? null
