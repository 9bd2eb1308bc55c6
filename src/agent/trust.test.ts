import assert from 'node:assert/strict'
import { sign, X509Certificate } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { AsnConvert } from '@peculiar/asn1-schema'
import { Certificate, id_ce_authorityKeyIdentifier } from '@peculiar/asn1-x509'
import { afterEach, test } from 'vitest'
import { fingerprintOf, issue, type KeyPair, makeAuthority } from '../lib/certificate.ts'
import { systemClock } from '../lib/clock.ts'
import { ControlClient } from './control-client.ts'

const wanted = { hosts: ['127.0.0.1'], now: systemClock.now(), days: 2 }
const good = makeAuthority('good', wanted)
const evil = makeAuthority('evil', wanted)
/** Without its authority behind it. */
const alone = ({ cert }: KeyPair) => new X509Certificate(cert).toString()

let server: Server | null = null

afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)))
})

async function serve(pair: KeyPair): Promise<{ url: string; seen: string[] }> {
  const seen: string[] = []
  const made = createServer({ ...pair }, (request, response) => {
    seen.push(String(request.headers.authorization))
    response.end('{}')
  })
  server = made
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve))
  return { url: `https://127.0.0.1:${(made.address() as AddressInfo).port}`, seen }
}

/** As operators make one by hand: its own issuer, and no authority anywhere. */
function selfSigned(): KeyPair {
  const { cert, key } = issue(good, wanted)
  const made = AsnConvert.parse(new X509Certificate(cert).raw, Certificate)
  const tbs = made.tbsCertificate
  tbs.issuer = tbs.subject
  for (const [i, { extnID }] of [...(tbs.extensions ?? [])].entries())
    if (extnID === id_ce_authorityKeyIdentifier) tbs.extensions?.splice(i, 1)
  made.signatureValue = new Uint8Array(sign('sha256', Buffer.from(AsnConvert.serialize(tbs)), key)).buffer
  return { cert: new X509Certificate(Buffer.from(AsnConvert.serialize(made))).toString(), key }
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
  const { url } = await serve(issue(good, wanted))
  assert.equal(await call(url, fingerprintOf(good.cert)), 200)
})

test('a self-signed certificate may be pinned itself', async () => {
  const own = selfSigned()
  const { url } = await serve(own)
  assert.equal(await call(url, fingerprintOf(own.cert)), 200)
})

test('another authority gets no word and no token', async () => {
  const { url, seen } = await serve(issue(evil, wanted))
  await assert.rejects(call(url, fingerprintOf(good.cert)), /pinned fingerprint/)
  assert.deepEqual(seen, [])
})

test('showing the pinned certificate without its signature is not enough', async () => {
  const pair = issue(evil, wanted)
  const { url, seen } = await serve({ ...pair, cert: alone(pair) + good.cert })
  await assert.rejects(call(url, fingerprintOf(good.cert)))
  assert.deepEqual(seen, [])
})

test('without a pin an authority that the machine does not know is refused', async () => {
  const { url, seen } = await serve(issue(good, wanted))
  await assert.rejects(call(url, null), /certificate/)
  assert.deepEqual(seen, [])
})
