import assert from 'node:assert/strict'
import { test } from 'vitest'
import { readSettings, refusePlainHttp, SettingsError } from './settings.ts'

const env = { FLIGHTDECK_MACHINE: 'm', FLIGHTDECK_CONTROL_URL: 'https://control.test/', FLIGHTDECK_NODE_DIR: '/tmp/n' }

test('what is missing is named', () => {
  for (const name of Object.keys(env))
    assert.throws(() => readSettings({ ...env, [name]: '' }), new RegExp(`${name} is not set`))
})

test('plain http is taken on loopback only', () => {
  for (const url of ['http://127.0.0.1:1', 'http://localhost:1', 'http://[::1]:1', 'https://anywhere.test'])
    assert.doesNotThrow(() => refusePlainHttp(url, 'it'))
  for (const url of [
    'http://10.0.0.1',
    'http://127.0.0.1.evil.test',
    'http://localhost.evil.test',
    'ftp://127.0.0.1',
    'no',
  ])
    assert.throws(() => refusePlainHttp(url, 'it'), SettingsError, url)
})

test('a fingerprint is taken in the ways that tools print it, and nothing else is', () => {
  const hex = 'ab'.repeat(32)
  const pairs = `${'AB:'.repeat(31)}AB`
  for (const text of [hex, pairs, `sha256:${hex}`, `SHA256:${pairs}`])
    assert.equal(readSettings({ ...env, FLIGHTDECK_CONTROL_FINGERPRINT: text }).fingerprint, hex)
  assert.throws(() => readSettings({ ...env, FLIGHTDECK_CONTROL_FINGERPRINT: 'abc' }), SettingsError)
})
