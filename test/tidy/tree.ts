import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Source } from './source.ts'

export const root = join(import.meta.dirname, '..', '..')

// `.git` is a file where the tree is one of several work trees.
const skipped = new Set(['node_modules', 'dist', 'data', 'coverage', '.git'])
/** Recorded answers and logs are the biggest texts; what is bigger is no text that a rule is about. */
const textLimitBytes = 2_000_000

/** Every text file of the repository that git would not ignore. */
export function readTree(folder = root, prefix = ''): Source[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${prefix}${entry.name}`
    if (skipped.has(entry.name)) return []
    if (entry.isDirectory()) return readTree(join(folder, entry.name), `${path}/`)
    const file = join(folder, entry.name)
    if (!entry.isFile() || entry.name.endsWith('.log') || statSync(file).size > textLimitBytes) return []
    const text = readFileSync(file, 'utf8')
    return text.includes('\0') ? [] : [{ path, text }]
  })
}
