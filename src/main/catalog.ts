import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { CatalogModel } from '../core/catalog.ts'
import { catalogFile } from '../wire/catalog.ts'

/**
 * What the files say about models; an entry of a later file takes the place of one with the same id.
 * @throws Error that names the file, the fields and what they must be.
 */
export function readCatalogs(files: readonly string[]): CatalogModel[] {
  return [...new Map(files.flatMap(readCatalog).map((model) => [model.id, model])).values()]
}

function readCatalog(file: string): CatalogModel[] {
  let text: unknown
  try {
    text = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Error(`The catalogue ${file} cannot be read: ${error instanceof Error ? error.message : error}`)
  }
  const parsed = catalogFile.safeParse(text)
  if (!parsed.success) throw new Error(`The catalogue ${file} is not right:\n${z.prettifyError(parsed.error)}`)
  return parsed.data.models
}
