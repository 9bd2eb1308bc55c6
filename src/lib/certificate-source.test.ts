import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { issue, type KeyPair, makeAuthority } from './certificate.ts'
import { type CertificateSource, certificateFrom, certificateFromFiles } from './certificate-source.ts'
import { makeLog } from './log.ts'

const log = makeLog('test', 'silent')
const authority = makeAuthority('test', { now: Date.now(), days: 7_300 })
const pairFor = (host: string): KeyPair => issue(authority, { hosts: [host], now: Date.now(), days: 90 })

let dir: string
let source: CertificateSource | null = null
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-certificate-'))
})
afterEach(() => {
  source?.close()
  vi.useRealTimers()
  rmSync(dir, { recursive: true, force: true })
})

const files = () => ({ certFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem') })
function write({ cert, key }: KeyPair): void {
  writeFileSync(files().certFile, cert)
  writeFileSync(files().keyFile, key)
}

test("the operator's certificate is taken anew when its files change, and never while they do not fit", async () => {
  const [first, second] = [pairFor('a'), pairFor('b')]
  write(first)
  source = certificateFromFiles(files(), log, 10)
  const taken: KeyPair[] = []
  const change = new Promise<void>((resolve) =>
    source?.onChange((pair) => {
      taken.push(pair)
      resolve()
    }),
  )
  writeFileSync(files().certFile, second.cert)
  writeFileSync(files().keyFile, second.key)
  await change
  expect(taken).toEqual([second])
  expect(source.current).toEqual(second)
})

test('files that cannot be served are refused at the start, by name', () => {
  write({ cert: pairFor('a').cert, key: pairFor('b').key })
  expect(() => certificateFromFiles(files(), log)).toThrow(/cert\.pem .*key\.pem cannot be served: the key is not/)
  expect(() => certificateFromFiles({ ...files(), keyFile: join(dir, 'none') }, log)).toThrow(/none/)
})

test('our own certificate is renewed while a third of its time is left', () => {
  vi.useFakeTimers({ now: Date.parse('2026-06-01') })
  source = certificateFrom(authority, ['a'], { now: () => Date.now(), monotonicMs: () => 0 })
  const first = source.current
  vi.advanceTimersByTime(59 * 86_400_000)
  expect(source.current).toBe(first)
  vi.advanceTimersByTime(2 * 86_400_000)
  expect(source.current).not.toBe(first)
  expect(Date.parse(new X509Certificate(source.current.cert).validTo)).toBeGreaterThan(Date.now() + 85 * 86_400_000)
})
