import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fingerprintOf, issue, makeAuthority } from '../../src/lib/certificate.ts'
import { type Plane, startPlane, until } from './plane.ts'
import { addressBeyondLoopback, RentedMachines } from './rented-machines.ts'

const host = addressBeyondLoopback()
const machines = new RentedMachines()
const terms = { hosts: [host], now: Date.now(), days: 30 }
const company = makeAuthority('An authority that the machines know', terms)
const files = { certFile: join(machines.home, 'cert.pem'), keyFile: join(machines.home, 'key.pem') }
let plane: Plane

function renewed(): string {
  const { cert, key } = issue(company, terms)
  writeFileSync(files.certFile, cert)
  writeFileSync(files.keyFile, key)
  return fingerprintOf(cert)
}

beforeAll(async () => {
  renewed()
  const known = join(machines.home, 'company.pem')
  writeFileSync(known, company.cert)
  machines.imageEnv = { NODE_EXTRA_CA_CERTS: known }
  const clouds = { slurm: { nodeBin: process.execPath, regions: ['lab/main'] } }
  plane = await startPlane({
    scripts: { rented: {} },
    config: {
      listen: { host },
      gateway: { host, tls: files },
      skypilot: { url: await machines.start(), clouds },
    },
  })
})
afterAll(async () => {
  await plane?.end()
  await machines.stop()
})

async function shown(port: number): Promise<string> {
  const socket = connect({ host, port, ca: company.cert })
  await once(socket, 'secureConnect')
  const { raw } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprintOf(`-----BEGIN CERTIFICATE-----\n${raw.toString('base64')}\n-----END CERTIFICATE-----`)
}

test('machines pin our authority at the control API and trust the certificate of the operator at the gateway, also a new one', async () => {
  const launch = await plane.launched('rented', { wish: { clouds: ['slurm'], gpus: ['H100'], gpuCount: 1 } })
  await plane.reaches(launch.id, ['live'], 40_000)
  const authorization = `Bearer ${await plane.key()}`
  const asked = request({
    host,
    port: plane.gatewayPort,
    path: '/v1/chat/completions',
    method: 'POST',
    ca: company.cert,
  })
  asked.setHeader('authorization', authorization).setHeader('content-type', 'application/json')
  asked.end(JSON.stringify({ model: 'rented', messages: [{ role: 'user', content: 'hi' }], max_tokens: 4 }))
  const [answer] = await once(asked, 'response')
  expect([answer.statusCode, await text(answer)]).toEqual([200, expect.stringContaining('completion')])

  await expect(shown(plane.port)).rejects.toThrow(/certificate/)
  const fresh = renewed()
  await until(
    async () => (await shown(plane.gatewayPort)) === fresh,
    20_000,
    () => 'the new certificate is not served',
  )
  const [node] = (await plane.client.listNodes({})).items
  expect(node?.state).toBe('ready')
}, 120_000)
