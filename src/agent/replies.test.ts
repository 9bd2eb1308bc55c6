import assert from 'node:assert/strict'
import { test } from 'vitest'
import { agentReply, joinReply } from '../wire/agent.ts'
import { readAgentReply, readJoinReply } from './replies.ts'
import { simEngine } from './world-for-tests.ts'

const gateways = [{ id: 'g', url: 'https://g.test' }]
const agent = { order: 'run', drainDeadlineMs: null, gateways, heartbeatMs: 1, leaseMs: 1 }
const join = {
  nodeId: 'n',
  credential: 'fd_node_0123456789abcdef',
  engine: simEngine(),
  secrets: { A: 'b' },
  gateways,
  heartbeatMs: 1,
  leaseMs: 1,
}

/** Every way to spoil one field. */
const spoiled = (good: Record<string, unknown>) =>
  Object.keys(good).flatMap((key) => [undefined, 7.5, { a: 1 }].map((bad) => ({ ...good, [key]: bad })))

test('what the schemas accept is accepted here, and what they refuse of it is refused', () => {
  assert.ok(agentReply.safeParse(agent).success && readAgentReply(agent))
  assert.ok(joinReply.safeParse(join).success && readJoinReply(join))
  for (const bad of spoiled(agent))
    assert.equal(agentReply.safeParse(bad).success, readAgentReply(bad) !== null, JSON.stringify(bad))
  for (const bad of spoiled(join))
    assert.equal(joinReply.safeParse(bad).success, readJoinReply(bad) !== null, JSON.stringify(bad))
  for (const bad of spoiled(join.engine).filter(({ engine }) => engine === 'sim')) {
    const reply = { ...join, engine: bad }
    assert.equal(joinReply.safeParse(reply).success, readJoinReply(reply) !== null, JSON.stringify(bad))
  }
})
