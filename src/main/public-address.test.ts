import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, test } from 'vitest'
import { issue, makeAuthority } from '../lib/certificate.ts'
import { configFile } from './config.ts'
import {
  lookAtPublicAddress,
  nodesReachUsAt,
  publicAddresses,
  refuseUnreachable,
  watchPublicAddress,
} from './public-address.ts'

const here = { controlUrl: 'http://127.0.0.1:8080', publicUrl: undefined, publicGatewayUrl: undefined }
const open = { publicUrl: 'https://control.example/', publicGatewayUrl: 'https://gateway.example' }

describe('the address that nodes are told', () => {
  test('is the public one, where machines are elsewhere', () => {
    assert.equal(nodesReachUsAt('aws', { onThisHost: false }, { ...here, ...open }), 'https://control.example')
  })

  test('is our own, where the operator says that machines are this very host', () => {
    assert.equal(nodesReachUsAt('slurm', { onThisHost: true }, here), here.controlUrl)
  })

  test.each([
    [{}, /FLIGHTDECK_PUBLIC_GATEWAY_URL/],
    [{ ...open, publicUrl: undefined }, /FLIGHTDECK_PUBLIC_URL/],
    [{ ...open, publicUrl: 'http://control.example' }, /in the clear/],
    [{ ...open, publicUrl: 'https://127.0.0.1:8080' }, /own address/],
    [{ ...open, publicUrl: 'https://localhost' }, /own address/],
    [{ ...open, publicUrl: 'https://[::ffff:127.0.0.1]' }, /own address/],
    [{ ...open, publicUrl: 'https://0.0.0.0:8080' }, /no address that anybody can call/],
    [{ ...open, publicGatewayUrl: 'https://[::]:8080' }, /no address that anybody can call/],
    [{ ...open, publicGatewayUrl: 'https://169.254.1.1' }, /network segment/],
    [{ ...open, publicUrl: 'https://192.168.1.5:8080' }, /private network.*"privateNetwork": true/],
    [{ ...open, publicGatewayUrl: 'nonsense' }, /not an address/],
  ])('is refused before anything is asked for where nodes could not use it (%o)', (given, why) => {
    assert.throws(() => nodesReachUsAt('aws', { onThisHost: false }, { ...here, ...given }), why)
    assert.throws(() => nodesReachUsAt('aws', { onThisHost: false }, { ...here, ...given }), /"onThisHost": true/)
  })

  test('that are missing or wrong are all named at once, for every cloud that needs them', () => {
    const clouds = { aws: { onThisHost: false }, slurm: { onThisHost: false }, lab: { onThisHost: true } }
    const refused = (where: Partial<typeof open>) => {
      try {
        refuseUnreachable(clouds, { ...here, ...where })
      } catch (error) {
        return error instanceof Error ? error.message : ''
      }
      return null
    }
    assert.equal(
      refused({}),
      'Machines in "aws", "slurm" could not reach us: FLIGHTDECK_PUBLIC_URL is not set, and the control plane has no public ' +
        'address of its own; FLIGHTDECK_PUBLIC_GATEWAY_URL is not set, and the gateway has no public address of its own. ' +
        'Set FLIGHTDECK_PUBLIC_URL to the https address at which they reach the control plane, and ' +
        'FLIGHTDECK_PUBLIC_GATEWAY_URL to the https address at which they reach the gateway, or, where they are this very ' +
        'machine, "onThisHost": true for that cloud.',
    )
    const lan = refused({ publicUrl: 'https://10.1.2.3', publicGatewayUrl: 'http://gateway.example' }) ?? ''
    assert.match(
      lan,
      /PUBLIC_URL is https:\/\/10\.1\.2\.3, an address of a private network.* \("aws"\); FLIGHTDECK_PUBLIC_GATEWAY/,
    )
    assert.match(lan, /in the clear\. Set .*"privateNetwork": true\.$/)
    assert.equal(refused(open), null)
    assert.doesNotThrow(() => refuseUnreachable({ lab: { onThisHost: true } }, here))
  })

  test('may be private where machines share the network: by declaration, or in clouds that stand beside us', () => {
    const lan = { ...here, publicUrl: 'https://10.1.2.3:8080', publicGatewayUrl: 'https://10.1.2.3:8081' }
    assert.equal(nodesReachUsAt('aws', { onThisHost: false, privateNetwork: true }, lan), lan.publicUrl)
    assert.equal(nodesReachUsAt('kubernetes', { onThisHost: false }, lan), lan.publicUrl)
    assert.throws(() => nodesReachUsAt('slurm', { onThisHost: false, privateNetwork: false }, lan), /private network/)
  })

  test('follows from where we listen when that is one address, unless a proxy stands there', () => {
    const ports = { control: 1, gateway: 2 }
    const told = (listen: object) => publicAddresses(configFile.parse({ listen }), {}, ports).publicUrl
    assert.equal(told({ host: '10.1.2.3' }), 'https://10.1.2.3:1')
    assert.equal(told({ host: 'fd00::1' }), 'https://[fd00::1]:1')
    assert.equal(told({ host: '10.1.2.3', proxied: true }), undefined)
    assert.equal(told({ host: '0.0.0.0' }), undefined)
    assert.equal(told({}), undefined)
  })
})

describe('what answers at the public address', () => {
  const authority = makeAuthority('test', { now: Date.now(), days: 1 })
  const pair = issue(authority, { hosts: ['127.0.0.1'], now: Date.now(), days: 1 })
  let close: () => void = () => undefined
  afterEach(() => close())

  async function answering(body: () => string): Promise<string> {
    const server = createServer(pair, (_, response) => response.end(body()))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    close = () => void server.close()
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  test('is this install, or the operator is told what it is', async () => {
    const look = async (body: string) =>
      lookAtPublicAddress({ url: await answering(() => body), of: 'control', install: 'abc12', ca: authority.cert })
    assert.equal(await look('{"install":"abc12"}'), null)
    assert.match(String(await look('{"install":"other"}')), /another install \(other\)/)
    assert.match(String(await look('<html>welcome</html>')), /something that is no control plane/)
  })

  test('may take its time at the start: what is wrong at first is looked at again', async () => {
    let asked = 0
    const url = await answering(() => (++asked < 3 ? '{"status":"starting","install":null}' : '{"install":"abc12"}'))
    const check = { url, of: 'gateway' as const, install: 'abc12', ca: authority.cert }
    assert.equal(await watchPublicAddress(check, new AbortController().signal), null)
    assert.equal(asked, 3)
  })

  test('is worth nothing under a certificate that machines would not trust', async () => {
    const url = await answering(() => '{"install":"abc12"}')
    const other = makeAuthority('other', { now: Date.now(), days: 1 }).cert
    assert.match(
      String(await lookAtPublicAddress({ url, of: 'control', install: 'abc12', ca: other })),
      /could not be checked/,
    )
  })
})
