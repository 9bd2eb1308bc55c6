import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { fingerprintOf, issue, makeAuthority, whyUnusable } from './certificate.ts'

const now = Date.parse('2026-06-01T00:00:00Z')
const authority = makeAuthority('Flightdeck install abc12', { now, days: 7_300 })

test('an authority signs itself, and may sign servers but no further authority', () => {
  const read = new X509Certificate(authority.cert)
  expect(read.ca).toBe(true)
  expect(read.verify(read.publicKey)).toBe(true)
  expect(read.validTo).toBe('May 27 00:00:00 2046 GMT')
  expect(fingerprintOf(authority.cert)).toMatch(/^[0-9a-f]{64}$/)
})

test('what it issues is for the hosts that were named, from yesterday on, and carries the authority behind it', () => {
  const { cert, key } = issue(authority, { hosts: ['fd.example', '10.0.0.1', '::1'], now, days: 90 })
  const read = new X509Certificate(cert)
  expect(read.ca).toBe(false)
  expect(read.verify(new X509Certificate(authority.cert).publicKey)).toBe(true)
  expect([read.checkHost('fd.example'), read.checkIP('10.0.0.1'), read.checkIP('::1')]).not.toContain(undefined)
  expect([read.checkHost('other.example'), read.checkIP('10.0.0.2')]).toEqual([undefined, undefined])
  expect(Date.parse(read.validFrom)).toBeLessThan(now - 86_400_000)
  expect(cert.endsWith(authority.cert)).toBe(true)
  expect(whyUnusable({ cert, key })).toBeNull()
})

test('a pair that does not belong together, or is none, is named as such before it is served', () => {
  const { cert } = issue(authority, { hosts: ['a'], now, days: 1 })
  expect(whyUnusable({ cert, key: authority.key })).toMatch(/not the one of the certificate/)
  expect(whyUnusable({ cert: 'nothing', key: authority.key })).not.toBeNull()
  expect(whyUnusable({ cert: cert + authority.key, key: cert + authority.key })).not.toBeNull()
})
