import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApi, type TestApi } from './api-for-tests.ts'

let at: TestApi
let root: string
let webDir: string

const page = (n: number) =>
  `<!doctype html><script type="module" src="/assets/main-${n}.js"></script>${' '.repeat(200)}`

/** As a build does it: what the page names lies there before the page. */
function build(n: number): void {
  mkdirSync(join(webDir, 'assets'), { recursive: true })
  writeFileSync(join(webDir, 'assets', `main-${n}.js`), `export const n = ${n}\n`.repeat(100))
  writeFileSync(join(webDir, 'index.new'), page(n))
  renameSync(join(webDir, 'index.new'), join(webDir, 'index.html'))
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'fd-pages-'))
  webDir = join(root, 'web')
  writeFileSync(join(root, 'secret.key'), 'not for anybody')
  at = await startTestApi({ webDir })
})
afterAll(async () => {
  await at?.end()
  rmSync(root, { recursive: true, force: true })
})

interface Got {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly bytes: Buffer
}

/** As it is on the wire: fetch tidies paths and unpacks answers. */
function get(path: string, headers: Record<string, string> = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const { port } = at.api
    const asked = request({ host: '127.0.0.1', port, path, headers })
    asked.once('error', reject).once('response', (reply) => {
      const chunks: Buffer[] = []
      reply.on('data', (chunk: Buffer) => chunks.push(chunk))
      reply.once('end', () =>
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, bytes: Buffer.concat(chunks) }),
      )
    })
    asked.end()
  })
}

const problemOf = ({ bytes }: Got) => (JSON.parse(String(bytes)) as { error: { cause: string; remedy: string } }).error

test('without a build the page says what to do, and the API works; the first build is served without a restart', async () => {
  const missing = await get('/')
  expect(missing.status).toBe(404)
  expect(problemOf(missing)).toMatchObject({
    cause: expect.stringContaining('not built'),
    remedy: expect.stringContaining('npm run build'),
  })
  expect((await get('/api/health')).status).toBe(200)
  build(1)
  expect(String((await get('/')).bytes)).toBe(page(1))
})

test('every path that is no call and no file is the page, with a policy that lets nothing foreign in', async () => {
  for (const path of ['/', '/launches', '/nodes/no-123?tab=log', '/index.html', '/launch?model=a/b.c', '/nodes/']) {
    const { status, headers, bytes } = await get(path)
    expect([path, status, String(bytes)]).toEqual([path, 200, page(1)])
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    })
    const policy = String(headers['content-security-policy'])
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'")
    expect(policy).toContain(`connect-src 'self' ws://127.0.0.1:${at.api.port};`)
    expect(policy).not.toMatch(/unsafe|data:|blob:|\*/)
  }
})

test('a call that is not there is refused as one, and is not the page', async () => {
  for (const path of [
    '/api',
    '/api/',
    '/api/no-such',
    '/api/session',
    '/agent/no-such',
    '/gateway/x',
    '/downloads/x',
    '/v1/models',
  ]) {
    const got = await get(path, { accept: 'text/html' })
    expect([path, got.status, got.headers['content-type']]).toEqual([path, 404, 'application/json; charset=utf-8'])
    expect(problemOf(got).cause).toContain(path)
  }
  expect((await get('/metrics')).status).toBe(401)
})

test('a file that is not there is not the page, and nothing beside the folder is served', async () => {
  symlinkSync(join(root, 'secret.key'), join(webDir, 'assets', 'link.js'))
  build(2)
  for (const path of [
    '/assets/none',
    '/assets/none.js',
    '/assets/link.js',
    '/favicon.ico',
    '/assets/../../secret.key',
    '/../secret.key',
    '/%2e%2e/secret.key',
    '/..%2fsecret.key',
    '/assets/..%5c..%5csecret.key',
  ]) {
    const got = await get(path)
    expect([path, got.status]).toEqual([path, 404])
    expect(String(got.bytes)).not.toContain('not for anybody')
  }
})

test('files with a hash in their name are kept for ever, compressed once; the page is asked for anew each time', async () => {
  const asset = await get('/assets/main-2.js', { 'accept-encoding': 'br, gzip' })
  expect(asset.headers).toMatchObject({
    'content-type': 'text/javascript; charset=utf-8',
    'cache-control': 'public, max-age=31536000, immutable',
    'content-encoding': 'gzip',
    vary: 'accept-encoding',
  })
  const plain = await get('/assets/main-2.js', { 'accept-encoding': 'gzip;q=0' })
  expect(plain.headers['content-encoding']).toBeUndefined()
  expect(gunzipSync(asset.bytes)).toEqual(plain.bytes)
  const etag = String((await get('/')).headers.etag)
  const same = await get('/', { 'if-none-match': etag })
  expect([same.status, same.bytes.length]).toEqual([304, 0])
})

test('a page of the build before still gets its files, and a new build is served at once', async () => {
  await get('/')
  build(3)
  expect(String((await get('/')).bytes)).toBe(page(3))
  expect((await get('/assets/main-3.js')).status).toBe(200)
  expect((await get('/assets/main-2.js')).status).toBe(200)
})

test('nothing but GET is taken where there is no call', async () => {
  for (const method of ['POST', 'PUT', 'DELETE'])
    expect([method, (await fetch(`${at.api.url}/launches`, { method })).status]).toEqual([method, 404])
})
