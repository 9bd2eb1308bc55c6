import { expect, test } from 'vitest'
import { leakRules } from './leaks.ts'
import { at, found } from './virtual.ts'

const { traces, lock, hosts } = leakRules({
  root: '/fd-builds/fleet/clone',
  home: '/people/ann',
  host: 'box-17.lan',
  registry: 'https://mirror.corp/npm/',
})

test('paths, homes, names and the registry of the machine are found in any file, on their line', () => {
  const telling = [
    'see /fd-builds/other/file',
    'in /fd-builds/fleet/clone',
    '/people/ann/.ssh',
    'on box-17.lan',
    'from mirror.corp',
    ['in ', 'home', 'ann', 'x'].join('/'),
    ['', 'Users', 'ann', 'x'].join('/'),
    `registry=${'https'}://elsewhere`,
  ]
  for (const text of telling)
    expect(found(traces, { 'docs/a.md': `fine\n${text}` }), text).toEqual([expect.stringMatching(/^docs\/a\.md:2 /)])
  const fine = [
    '/tmp/x',
    '/var/lib/x',
    '/home/you/x',
    '/usr/bin/env',
    'src/fd-builds/x',
    'npm registry',
    'registry = new Registry()',
    './fd-builds/x',
    '${builds}/x',
  ]
  for (const text of fine) expect(found(traces, { 'docs/a.md': text }), text).toEqual([])
})

test('a lock file with an address in it is found', () => {
  expect(found(lock, { 'package-lock.json': '{\n"resolved": "https://mirror.corp/x.tgz" }' })).toHaveLength(1)
  expect(found(lock, { 'package-lock.json': '{ "integrity": "sha512-x" }' })).toEqual([])
})

test('a program that would call a host by name is found', () => {
  for (const address of [
    'https://api.vendor.com/v1',
    'http://10.1.2.3:80',
    'wss://hub.vendor.com',
    'postgres://a:b@db.corp/x',
    'http://[2001:db8::1]/',
  ]) {
    expect(found(hosts, at(['src/api/a.ts', 'web/src/a.ts'], `fetch('${address}')`)), address).toHaveLength(2)
  }
  const fine = [
    'http://localhost:1',
    'http://127.0.0.1',
    'http://[::1]:2',
    'https://a.example.com',
    'http://www.w3.org/2000/svg',
    'see https://docs.vendor.com',
    'http://169.254.169.254/latest',
  ]
  for (const address of fine) expect(found(hosts, { 'src/api/a.ts': `fetch('${address}')` }), address).toEqual([])
  expect(
    found(hosts, {
      'src/api/a.ts': 'fetch(`https://${host}/x`)',
      'src/api/a.test.ts': "fetch('https://api.vendor.com')",
    }),
  ).toEqual([])
})
