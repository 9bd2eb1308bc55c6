import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeLog } from '../../src/lib/log.ts'
import { type Embedded, startEmbedded } from '../../src/store/embedded.ts'

/** A PostgreSQL server of the test's own, which it can stop and start while control planes are connected. */
export interface TestServer {
  readonly url: string
  readonly dataDir: string
  start(): Promise<void>
  stop(): Promise<void>
  end(): Promise<void>
}

export async function startServer(): Promise<TestServer> {
  const dataDir = mkdtempSync(join(tmpdir(), 'fd-server-'))
  const log = makeLog('server', 'silent')
  let running: Embedded | null = await startEmbedded({ dataDir, log })
  const { host, database, user } = running.connection
  return {
    url: `postgres://${user}@/${database}?host=${encodeURIComponent(host)}`,
    dataDir,
    async start() {
      running ??= await startEmbedded({ dataDir, log })
    },
    async stop() {
      await running?.stop()
      running = null
    },
    async end() {
      await running?.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
