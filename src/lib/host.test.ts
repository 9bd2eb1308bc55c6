import { expect, test } from 'vitest'
import { hostPort, isLoopback, reachOf } from './host.ts'

test.each([
  ['127.9.9.9', 'this_host'],
  ['::1', 'this_host'],
  ['[::ffff:7f00:1]', 'this_host'],
  ['::ffff:127.0.0.1', 'this_host'],
  ['localhost', 'this_host'],
  ['a.localhost', 'this_host'],
  ['0.0.0.0', 'nobody'],
  ['[::]', 'nobody'],
  ['169.254.7.7', 'this_network'],
  ['[fe80::1]', 'this_network'],
  ['10.0.0.1', 'private_network'],
  ['100.100.1.1', 'private_network'],
  ['fd00::1', 'private_network'],
  ['172.32.0.1', 'anywhere'],
  ['2606:4700::1', 'anywhere'],
  ['control.example', 'anywhere'],
])('%s can be used from: %s', (host, reach) => {
  expect(reachOf(host)).toBe(reach)
})

test('a name that only should be loopback gets no plain HTTP', () => {
  expect(['localhost', '127.0.0.1', '::1', '::ffff:127.0.0.1'].map(isLoopback)).toEqual([true, true, true, true])
  expect(['a.localhost', '127.0.0.1.example', '10.0.0.1', ''].map(isLoopback)).toEqual([false, false, false, false])
})

test('an address of IPv6 gets its brackets once', () => {
  expect([hostPort('::1', 1), hostPort('[::1]', 1), hostPort('a', 1)]).toEqual(['[::1]:1', '[::1]:1', 'a:1'])
})
