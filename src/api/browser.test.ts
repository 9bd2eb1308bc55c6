import { expect, test } from 'vitest'
import { makeHostCheck, makeOriginCheck } from './browser.ts'

const accepts = (rules: Parameters<typeof makeHostCheck>[0], host: string | undefined, encrypted = false): boolean => {
  try {
    makeHostCheck(rules)(host, encrypted)
    return true
  } catch {
    // Refused is all that matters here.
    return false
  }
}

test('on loopback only loopback names, the public address and listed origins are hosts of ours', () => {
  const rules = { host: '127.0.0.1', publicUrl: 'https://deck.example', allowedOrigins: ['https://ui.example'] }
  for (const host of [
    'localhost',
    'LOCALHOST:1',
    '127.0.0.1:8080',
    '127.9.9.9',
    '[::1]',
    'deck.example',
    'ui.example:444',
  ])
    expect([host, accepts(rules, host)]).toEqual([host, true])
  for (const host of [
    undefined,
    '',
    'evil.example',
    'deck.example.evil',
    'x@localhost',
    'localhost/x',
    '0.0.0.0',
    '[::2]',
  ])
    expect([host, accepts(rules, host)]).toEqual([host, false])
})

test('under TLS beyond loopback the certificate has decided about hosts; plain HTTP on this machine is checked as ever', () => {
  const rules = { host: '0.0.0.0', allowedOrigins: [] }
  expect(accepts(rules, 'anything', true)).toBe(true)
  expect(accepts(rules, 'anything', false)).toBe(false)
  expect(accepts(rules, '127.0.0.1:8080', false)).toBe(true)
})

test('a program, our own page and a listed page may connect; another page, and one without a name, may not', () => {
  const allowed = makeOriginCheck(['https://ui.example'])
  expect(allowed(undefined, '127.0.0.1:1')).toBe(true)
  expect(allowed('http://127.0.0.1:1', '127.0.0.1:1')).toBe(true)
  expect(allowed('https://ui.example', '127.0.0.1:1')).toBe(true)
  expect(allowed('http://127.0.0.1:2', '127.0.0.1:1')).toBe(false)
  expect(allowed('https://ui.example.evil', '127.0.0.1:1')).toBe(false)
  expect(allowed('null', '127.0.0.1:1')).toBe(false)
})
