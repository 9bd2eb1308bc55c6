import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { makeLog } from '../lib/log.ts'
import { type Connection, openStore, type Store } from '../store/database.ts'
import { isDatabaseAway } from '../store/database-away.ts'
import { enterPhase } from '../store/phases.ts'
import { makeClient } from '../wire/client.ts'
import { type LiveMessage, livePath } from '../wire/live.ts'
import { startTestApi, type TestApi } from './api-for-tests.ts'
import { type Api, startApi } from './server.ts'

let at: TestApi
let wire: Wire
let store: Store
let api: Api

/** The way to the database, which can be cut and mended while nothing happens to the database itself. */
class Wire {
  readonly #target: Connection
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  port = 0

  constructor(target: Connection) {
    this.#target = target
    this.#server = createServer((near) => {
      const far = connect(this.#address())
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from)
        from.on('error', () => to.destroy())
        from.on('close', () => to.destroy())
        from.pipe(to)
      }
    })
  }

  #address(): { path: string } | { host: string; port: number } {
    if (!('url' in this.#target)) return { path: `${this.#target.host}/.s.PGSQL.5432` }
    const { hostname, port } = new URL(this.#target.url)
    return { host: hostname, port: Number(port || 5432) }
  }

  get url(): string {
    if ('url' in this.#target) {
      const url = new URL(this.#target.url)
      url.host = `127.0.0.1:${this.port}`
      return url.href
    }
    return `postgres://${this.#target.user}@127.0.0.1:${this.port}/${this.#target.database}`
  }

  mend(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.listen(this.port, '127.0.0.1', () => {
        this.port = (this.#server.address() as AddressInfo).port
        resolve()
      })
    })
  }

  cut(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) socket.destroy()
      this.#sockets.clear()
    })
  }
}

beforeAll(async () => {
  at = await startTestApi()
  wire = new Wire(at.connection)
  await wire.mend()
  store = await openStore({ url: wire.url }, 4)
  api = await startApi({
    ...at.deps,
    store,
    install: 'abcde',
    log: makeLog('api-test', 'silent'),
    listen: { host: '127.0.0.1', port: 0 },
    gatewayTokenHash: '0'.repeat(64),
    agentDir: '/nowhere',
    databaseKind: 'given',
  })
})
afterAll(async () => {
  await api?.close()
  await store?.close()
  await wire?.cut()
  await at?.end()
})

test('while the database is away calls are 503 with a remedy, and health says so; when it is back, all goes on', async () => {
  const client = makeClient({ url: api.url, token: at.tokens.admin })
  const { launchId, nodeId } = await at.node()
  const heard: LiveMessage[] = []
  const socket = new WebSocket(api.url.replace('http', 'ws') + livePath)
  socket.on('open', () => socket.send(JSON.stringify({ do: 'hello', token: at.tokens.viewer })))
  socket.on('message', (data) => {
    heard.push(JSON.parse(String(data)) as LiveMessage)
    if (heard.length === 1) socket.send(JSON.stringify({ do: 'follow', topic: 'launch', id: launchId }))
  })
  const hears = (phase: string) =>
    expect
      .poll(() => heard.some((message) => message.topic === 'launch' && message.launch.phase === phase), {
        timeout: 10_000,
      })
      .toBe(true)
  await hears('requesting')

  await wire.cut()
  const refused = client.listNodes()
  await expect(refused).rejects.toMatchObject({ status: 503, error: { code: 'database_unavailable', retry: 'later' } })
  const health = await fetch(`${api.url}/api/health`)
  expect([health.status, await health.json()]).toMatchObject([503, { ok: false, database: false }])
  await enterPhase(at.deps.store.db, nodeId, 'booting', Date.now())

  await wire.mend()
  await expect
    .poll(
      () =>
        client.listNodes().then(
          () => true,
          () => false,
        ),
      { timeout: 10_000 },
    )
    .toBe(true)
  await hears('booting')
  expect(socket.readyState).toBe(socket.OPEN)
  socket.terminate()
})

test('an error of a statement is not mistaken for a database that is away', () => {
  const withCode = (code: string) => Object.assign(new Error('x'), { code })
  expect(['ECONNREFUSED', '57P01', '08006'].map((code) => isDatabaseAway(withCode(code)))).toEqual([true, true, true])
  expect(['23505', '42P01', 'ERR_ASSERTION'].map((code) => isDatabaseAway(withCode(code)))).toEqual([
    false,
    false,
    false,
  ])
})
