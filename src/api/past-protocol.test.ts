import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAgentReply, readJoinReply } from '../agent/replies.ts'
import { agentProtocol, oldestAgentProtocol } from '../core/agent-protocol.ts'
import { joinTokenFor } from '../store/join-token.ts'
import { agentPaths } from '../wire/paths.ts'
import { startTestApi, type TestApi } from './api-for-tests.ts'

type Fields = Readonly<Record<string, unknown>>
interface Exchange {
  readonly path: string
  readonly request: Fields
  readonly reply: Fields
}
interface Story {
  readonly what: string
  readonly exchanges: readonly Exchange[]
}

const storiesOf = (protocol: number): Story[] =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../../test/fixtures/agent-protocol/${protocol}.json`), 'utf8'))
const past = Array.from({ length: agentProtocol - oldestAgentProtocol }, (_, i) => oldestAgentProtocol + i)

let at: TestApi
beforeAll(async () => {
  at = await startTestApi()
})
afterAll(() => at?.end())

async function say(path: string, token: string, body: unknown): Promise<{ status: number; reply: Fields }> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const answer = await fetch(at.api.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: answer.status, reply: (await answer.json()) as Fields }
}

/** A node whose machine boots, and the token that its agent was given. */
async function bootingNode(): Promise<{ nodeId: string; token: string }> {
  const { nodeId } = await at.node({ state: 'booting' })
  const nobody = { credential_hash: null, joined_at: null, incarnation: null }
  await at.deps.store.db.updateTable('nodes').set(nobody).where('id', '=', nodeId).execute()
  return { nodeId, token: joinTokenFor(at.deps.vault, nodeId) }
}

/** The kind of each field that was there then; what came later is not looked at. */
function asThen(then: unknown, now: unknown, place: string): void {
  if (Array.isArray(then)) expect(Array.isArray(now), place).toBe(true)
  else if (typeof then === 'object' && then !== null) {
    expect(typeof now === 'object' && now !== null, place).toBe(true)
    // What is keyed by names that a user chose has no fields that must be there.
    if (/\.(env|secrets)$/.test(place)) return
    for (const [key, value] of Object.entries(then)) asThen(value, (now as Fields)[key], `${place}.${key}`)
  } else if (then !== null && now !== null) expect(typeof now, place).toBe(typeof then)
  else expect(now, place).toBeDefined()
}

describe.each(past.flatMap((protocol) => storiesOf(protocol).map((story) => ({ protocol, ...story }))))(
  'protocol $protocol: $what',
  ({ protocol, exchanges }) => {
    test('each message of then is taken today, and its answer has all that was in it then', async () => {
      const { nodeId, token } = await bootingNode()
      let bearer = token
      for (const { path, request, reply: then } of exchanges) {
        const { status, reply } = await say(path, bearer, request)
        expect([path, status]).toEqual([path, 200])
        asThen(then, reply, path)
        if (path === agentPaths.join) bearer = String(reply['credential'])
      }
      const node = await at.client.showNode({ params: { id: nodeId } })
      expect(node).toMatchObject({ agentProtocol: protocol, agentStanding: 'behind' })
      const failed = exchanges.some(({ request }) => 'failure' in request && request['failure'] !== null)
      expect(node.signals.heartbeat.value).toBe(failed ? 'bad' : 'good')
    })

    test('the agent of today reads each answer of then, for a control plane may be set back', () => {
      for (const { path, reply } of exchanges)
        expect([path, (path === agentPaths.join ? readJoinReply : readAgentReply)(reply)]).not.toEqual([path, null])
    })
  },
)

const ancient = { protocol: oldestAgentProtocol - 1, agentVersion: '0.0.1', words: 'that nobody understands any more' }

test('an agent that is too old is refused at its join, and its launch says why and how it is renewed', async () => {
  const { nodeId, token } = await bootingNode()
  const { status, reply } = await say(agentPaths.join, token, ancient)
  expect(status).toBe(426)
  const understood = `understands ${oldestAgentProtocol} to ${agentProtocol}`
  expect(reply).toMatchObject({
    error: {
      cause: expect.stringContaining(understood),
      code: 'agent_too_old',
      remedy: expect.stringContaining('flightdeck drain'),
    },
  })
  const node = await at.client.showNode({ params: { id: nodeId } })
  expect(node.failure).toMatchObject({ code: 'agent_too_old', cause: expect.stringContaining('0.0.1') })
  expect(node.firstSeenAt).not.toBeNull()
})

test('a guessed token learns and changes nothing', async () => {
  const { nodeId, token } = await bootingNode()
  expect((await say(agentPaths.join, `${token.slice(0, -2)}xx`, ancient)).status).toBe(426)
  const node = await at.client.showNode({ params: { id: nodeId } })
  expect(node).toMatchObject({ failure: null, firstSeenAt: null })
})

test('a node that serves with an agent that is too old is told to its operator and goes on serving', async () => {
  const { nodeId, credential } = await at.node({ state: 'ready', launchState: 'live' })
  for (const path of [agentPaths.heartbeat, agentPaths.progress])
    expect(await say(path, credential, ancient)).toMatchObject({
      status: 426,
      reply: { error: { code: 'agent_too_old' } },
    })
  const node = await at.client.showNode({ params: { id: nodeId } })
  expect(node).toMatchObject({ state: 'ready', failure: null })
  const told = node.timeline.filter(({ kind }) => kind === 'node.agent_too_old')
  expect(told).toHaveLength(1)
  expect(told[0]?.text).toContain('flightdeck drain')
})

test('an agent that is too old is still told when its node was released, in the one word that all understand', async () => {
  const { credential } = await at.node({ state: 'releasing', launchState: 'ending' })
  expect((await say(agentPaths.heartbeat, credential, ancient)).status).toBe(410)
})
