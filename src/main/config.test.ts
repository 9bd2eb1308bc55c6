import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readConfig, secretKey, settingsOf } from './config.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-config-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function file(text: string): string {
  const path = join(dir, 'config.json')
  writeFileSync(path, text)
  return path
}

test('without a file everything has a default, and the simulated model can be launched', () => {
  const config = readConfig(undefined)
  expect(config.listen).toEqual({ host: '127.0.0.1', port: 8080, proxied: false })
  const settings = settingsOf(config)
  expect(settings.models.map(({ name }) => name)).toEqual(['sim-small'])
  expect(settings.engines.sim?.command.at(-1)).toMatch(/engine-sim\.ts$/)
})

test('a field that is misspelt, or of the wrong kind, is refused by name', () => {
  expect(() => readConfig(file('{"lissten":{}}'))).toThrow(/lissten/)
  expect(() => readConfig(file('{"listen":{"port":"high"}}'))).toThrow(/port/)
  expect(() => readConfig(file('{'))).toThrow(/not JSON/)
  expect(() => readConfig(join(dir, 'nowhere.json'))).toThrow(/does not exist/)
})

test('seconds and dollars of the file become the units of the settings', () => {
  const settings = settingsOf(readConfig(file('{"heartbeatS":2,"launch":{"firstBackOffS":0.5},"leaseS":60}')))
  expect(settings).toMatchObject({ heartbeatMs: 2_000, leaseMs: 60_000, retry: { firstBackOffMs: 500 } })
})

test('a secret key of the wrong length is refused before anything is sealed with it', () => {
  expect(() => secretKey({ FLIGHTDECK_SECRET_KEY: 'abc' }, dir)).toThrow(/64 hexadecimal/)
  expect(secretKey({ FLIGHTDECK_SECRET_KEY: 'ab'.repeat(32) }, dir)).toHaveLength(32)
})

test('files that it names lie beside it', () => {
  const tls = { certFile: 'tls/cert.pem', keyFile: '/etc/key.pem' }
  const config = readConfig(file(JSON.stringify({ listen: { tls }, catalogs: ['mine.json'] })))
  expect(config.listen.tls).toEqual({ certFile: join(dir, 'tls/cert.pem'), keyFile: '/etc/key.pem' })
  expect(config.catalogs).toEqual([join(dir, 'mine.json')])
  expect(() => readConfig(file('{"gateway":{"tls":{"certFile":"a"}}}'))).toThrow(/keyFile/)
})
