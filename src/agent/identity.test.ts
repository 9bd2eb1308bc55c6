import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import { Identity } from './identity.ts'
import { NodeDisk } from './node-disk.ts'

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-identity-'))
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

const start = (name: string) => new Identity(new NodeDisk(dir), name)

test('the predecessor is the start that was last accepted, however many failed to be heard since', () => {
  start('a').accepted()
  start('b')
  start('c')
  assert.equal(start('d').previous, 'a')
})

test('a first start has no predecessor', () => {
  assert.equal(start('a').previous, null)
})

test('a start that was heard but died before it knew is named after a refusal', () => {
  start('a').accepted()
  start('b')
  const c = start('c')
  assert.equal(c.refused('a'), true)
  assert.equal(c.previous, 'b')
  c.accepted()
  assert.equal(start('d').previous, 'c')
})

test('two messages refused for one name count once, and when no name is left the refusal stands', () => {
  start('a').accepted()
  start('b')
  const c = start('c')
  assert.equal(c.refused('a'), true)
  assert.equal(c.refused('a'), true)
  assert.equal(c.refused('b'), false)
  assert.equal(c.previous, 'a')
})

test('many unheard starts keep the accepted one and stay few', () => {
  start('a').accepted()
  for (let i = 0; i < 50; i++) start(`b${i}`)
  const names = new NodeDisk(dir).incarnations()
  assert.equal(names[0], 'a')
  assert.ok(names.length <= 6, String(names.length))
})
