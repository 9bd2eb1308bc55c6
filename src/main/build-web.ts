import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { dropAbandoned, writeWhole } from './whole-file.ts'

/** What the last build read, and the files that pages of it and of the one before may still ask for. */
interface WebRecord {
  readonly inputs: string
  readonly assets: readonly string[]
  readonly before: readonly string[]
}

const sources = ['web', 'src/wire', 'src/core', 'package-lock.json']

/** Makes `dist/web` match its sources. Returns whether it was built, or undefined when this tree has no dashboard. */
export async function buildWeb(root: string): Promise<boolean | undefined> {
  if (!existsSync(join(root, 'web', 'index.html'))) return undefined
  const [out, recordFile] = [join(root, 'dist', 'web'), join(root, 'dist', 'web.json')]
  const past = readRecord(recordFile)
  const inputs = hashOf(root)
  if (past?.inputs === inputs && allThere(out, past.assets)) return false
  dropAbandoned(join(root, 'dist'), /^web\.(\d+)$/)
  const fresh = `${out}.${process.pid}`
  const { build } = await import('vite')
  await build({
    configFile: join(root, 'web', 'vite.config.ts'),
    logLevel: 'error',
    build: { outDir: fresh, emptyOutDir: true },
  })
  const assets = readdirSync(join(fresh, 'assets'))
  put(fresh, out)
  // Pages that are open were made by the build before, and still load their parts.
  const before = past?.assets ?? []
  for (const file of readdirSync(join(out, 'assets')))
    if (!assets.includes(file) && !before.includes(file)) rmSync(join(out, 'assets', file), { force: true })
  writeWhole(recordFile, JSON.stringify({ inputs, assets, before } satisfies WebRecord))
  return true
}

/** The page goes last: what it names lies there before anybody reads it. */
function put(fresh: string, out: string): void {
  mkdirSync(out, { recursive: true })
  for (const name of readdirSync(fresh))
    if (name !== 'index.html') cpSync(join(fresh, name), join(out, name), { recursive: true })
  writeWhole(join(out, 'index.html'), readFileSync(join(fresh, 'index.html')))
  rmSync(fresh, { recursive: true })
}

function readRecord(file: string): WebRecord | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as WebRecord) : undefined
}

const allThere = (out: string, assets: readonly string[]): boolean =>
  existsSync(join(out, 'index.html')) && assets.every((file) => existsSync(join(out, 'assets', file)))

function hashOf(root: string): string {
  const hash = createHash('sha256')
  for (const source of sources.filter((path) => existsSync(join(root, path))))
    for (const file of filesIn(root, source)) hash.update(`${file}\0`).update(readFileSync(join(root, file)))
  return hash.digest('hex')
}

function filesIn(root: string, path: string): string[] {
  if (!path.includes('/') && path.includes('.')) return [path]
  return readdirSync(join(root, path), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort()
}
