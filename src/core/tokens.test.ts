import assert from 'node:assert/strict'
import { test } from 'vitest'
import { mayAct, roles, tokenKind, tokenPrefixes } from './tokens.ts'

test('a token tells its kind by its prefix, and no prefix begins another', () => {
  for (const [kind, prefix] of Object.entries(tokenPrefixes)) {
    assert.equal(tokenKind(`${prefix}abc`), kind)
    const others = Object.values(tokenPrefixes).filter((other) => other !== prefix)
    assert.ok(others.every((other) => !other.startsWith(prefix)))
  }
  assert.equal(tokenKind('sk-abc'), null)
  assert.equal(tokenKind(''), null)
})

test('a role may do what the roles before it may, and nothing of those after it', () => {
  const allowed = roles.map((has) => roles.filter((needed) => mayAct(has, needed)))
  assert.deepEqual(allowed, [['viewer'], ['viewer', 'operator'], ['viewer', 'operator', 'admin']])
})
