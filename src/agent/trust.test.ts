import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, test } from 'vitest'
import { ControlClient } from './control-client.ts'

let dir: string
let server: Server | null = null

const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })
const read = (file: string) => readFileSync(join(dir, file), 'utf8')
const printOf = (file: string) => new X509Certificate(read(file)).fingerprint256.replaceAll(':', '').toLowerCase()

/** An authority, and a certificate for 127.0.0.1 signed by it. */
function makeAuthority(name: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    `${name}.ca.key`,
    '-out',
    `${name}.ca.pem`,
    '-subj',
    `/CN=${name}`,
    '-days',
    '2',
  )
  openssl('req', '-new', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', '/CN=control')
  writeFileSync(join(dir, 'san.cnf'), 'subjectAltName=IP:127.0.0.1\n')
  const signer = ['-CA', `${name}.ca.pem`, '-CAkey', `${name}.ca.key`, '-CAcreateserial', '-extfile', 'san.cnf']
  openssl('x509', '-req', '-in', `${name}.csr`, ...signer, '-out', `${name}.pem`, '-days', '2')
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-trust-'))
  makeAuthority('good')
  makeAuthority('evil')
})

afterAll(() => rmSync(dir, { recursive: true, force: true }))

afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)))
})

async function serve(key: string, cert: string): Promise<{ url: string; seen: string[] }> {
  const seen: string[] = []
  const made = createServer({ key: read(key), cert }, (request, response) => {
    seen.push(String(request.headers.authorization))
    response.end('{}')
  })
  server = made
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve))
  return { url: `https://127.0.0.1:${(made.address() as AddressInfo).port}`, seen }
}

async function call(url: string, fingerprint: string | null): Promise<number> {
  const client = new ControlClient(url, fingerprint)
  try {
    return (await client.post('/x', 'secret', {})).status
  } finally {
    client.close()
  }
}

test('a server whose authority was pinned is trusted', async () => {
  const { url } = await serve('good.key', read('good.pem') + read('good.ca.pem'))
  assert.equal(await call(url, printOf('good.ca.pem')), 200)
})

test('a self-signed certificate may be pinned itself', async () => {
  const key = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-addext',
    'subjectAltName=IP:127.0.0.1',
  ]
  openssl('req', '-x509', ...key, '-keyout', 'self.key', '-out', 'self.pem', '-subj', '/CN=self', '-days', '2')
  const { url } = await serve('self.key', read('self.pem'))
  assert.equal(await call(url, printOf('self.pem')), 200)
})

test('another authority gets no word and no token', async () => {
  const { url, seen } = await serve('evil.key', read('evil.pem') + read('evil.ca.pem'))
  await assert.rejects(call(url, printOf('good.ca.pem')), /pinned fingerprint/)
  assert.deepEqual(seen, [])
})

test('showing the pinned certificate without its signature is not enough', async () => {
  const { url, seen } = await serve('evil.key', read('evil.pem') + read('good.ca.pem'))
  await assert.rejects(call(url, printOf('good.ca.pem')))
  assert.deepEqual(seen, [])
})

test('without a pin an authority that the machine does not know is refused', async () => {
  const { url, seen } = await serve('good.key', read('good.pem') + read('good.ca.pem'))
  await assert.rejects(call(url, null), /certificate/)
  assert.deepEqual(seen, [])
})
