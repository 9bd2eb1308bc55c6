import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Puts a file in its place at once: whoever reads it, also beside another writer, finds the old one or the new one whole. */
export function writeWhole(file: string, body: Uint8Array | string, mode = 0o644): void {
  mkdirSync(dirname(file), { recursive: true })
  const partial = `${file}.${process.pid}`
  writeFileSync(partial, body, { mode })
  renameSync(partial, file)
}
