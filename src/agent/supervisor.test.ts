import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import { randomName } from '../lib/chance.ts'
import { NodeDisk } from './node-disk.ts'
import { processesWith } from './proc.ts'
import { Supervisor, type SupervisorEvents } from './supervisor.ts'
import { defaultTiming, type Timing } from './timing.ts'
import { simEngine, until } from './world-for-tests.ts'

let dir: string
let machine: string
let supervisor: Supervisor
let seen: { answered: number; failures: string[]; phases: string[]; said: string[] }

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-supervisor-'))
  machine = `fd-test-${randomName(8)}`
  seen = { answered: 0, failures: [], phases: [], said: [] }
})

afterEach(async () => {
  await supervisor.end()
  assert.deepEqual(processesWith([`FLIGHTDECK_MACHINE=${machine}`]), [])
  rmSync(dir, { recursive: true, force: true })
})

function supervise(spec: ReturnType<typeof simEngine>, timing: Partial<Timing>): void {
  const nothing = () => undefined
  const events: SupervisorEvents = {
    onPhase: (phase) => seen.phases.push(phase),
    onInstallLine: nothing,
    onLine: nothing,
    onLogRestart: nothing,
    onAnswered: () => {
      seen.answered += 1
    },
    onFailure: ({ code }) => seen.failures.push(code),
    onChange: nothing,
  }
  const say = (text: string) => void seen.said.push(text)
  const log = { say, note: say, sayOnce: (_: string, text: string) => say(text) }
  supervisor = new Supervisor({
    spec,
    install: null,
    secrets: {},
    machine,
    disk: new NodeDisk(dir),
    timing: { ...defaultTiming, ...timing },
    log,
    events,
  })
  supervisor.start()
}

const engines = () => processesWith([`FLIGHTDECK_MACHINE=${machine}`, 'FLIGHTDECK_ENGINE=1'])

test('an engine that hangs is called failed and left alone, and is well again when it answers', async () => {
  supervise(simEngine({ startupMs: 0 }), { healthPollMs: 50, healthTimeoutMs: 100, hungAfterMs: 400 })
  await until('it answered', () => seen.answered)
  const [engine = 0] = engines()
  process.kill(engine, 'SIGSTOP')
  await until('it is called failed', () => supervisor.report().state === 'failed')
  assert.equal(supervisor.report().failure?.code, 'engine_hung')
  assert.deepEqual(engines(), [engine])
  assert.deepEqual(seen.failures, [], 'a bad sign is not the end')
  process.kill(engine, 'SIGCONT')
  await until('it serves', () => supervisor.report().state === 'serving')
  assert.equal(supervisor.report().failure, null)
})

test('an engine that never lists the model under its name is ended and explained', async () => {
  supervise(simEngine({ startupMs: 0 }, { servedName: 'other' }), { unlistedLimitMs: 200 })
  await until('the failure', () => seen.failures.length)
  assert.deepEqual(seen.failures, ['model_not_listed'])
  assert.match(supervisor.report().failure?.cause ?? '', /does not serve "other"; it lists: tiny/)
  assert.deepEqual(engines(), [])
})

test('a port that somebody else was quicker to take is tried anew, but not for ever', async () => {
  supervise(simEngine({ startupMs: 0, faults: { startFailure: 'port_in_use' } }), {})
  await until('the failure', () => seen.failures.length)
  assert.deepEqual(seen.failures, ['port_in_use'])
  assert.equal(seen.said.filter((text) => text.startsWith('The engine was started')).length, 3)
})

test('an embedding model answers without completions', async () => {
  supervise(simEngine({ startupMs: 0, task: 'embed' }), {})
  await until('it answered', () => seen.answered)
})

/** In the words of `llama-server --embeddings`. */
const llamaRefusal = 'This server does not support completions. Start it without `--embeddings`'
const embedder = (status: number): string => `require('node:http').createServer((request, response) => {
  const answers = { '/health': { status: 'ok' }, '/v1/models': { data: [{ id: 'tiny' }] }, '/v1/embeddings': { data: [] } }
  const answer = answers[request.url]
  const refusal = { error: { code: ${status}, message: ${JSON.stringify(llamaRefusal)}, type: 'not_supported_error' } }
  response.writeHead(answer ? 200 : ${status}).end(JSON.stringify(answer ?? refusal))
}).listen(process.argv[1], '127.0.0.1')`
const embedding = (status: number) =>
  simEngine({}, { engine: 'llama-server', argv: [process.execPath, '-e', embedder(status), '{port}'] })

test('llama-server that was started for embeddings answers a completion with 501, and counts as answering', async () => {
  supervise(embedding(501), { readinessPollMs: 10 })
  await until('it answered', () => seen.answered)
  assert.equal(supervisor.report().state, 'serving')
})

test('an engine that fails at a completion does not count as answering, whatever it embeds', async () => {
  supervise(embedding(500), { readinessPollMs: 10 })
  await until('it says why', () => seen.said.some((text) => text.includes('the completion was answered with 500')))
  assert.equal(seen.answered, 0)
})

test('a model that lists and is healthy but gives no token does not count as answering', async () => {
  supervise(simEngine({ startupMs: 0, faults: { tokens: 'never' } }), { readinessPollMs: 10 })
  await until('it is asked', () => seen.phases.includes('verifying'))
  assert.equal(seen.answered, 0)
  assert.equal(supervisor.report().state, 'starting')
})

test('its end takes an engine that ignores SIGTERM and the children that left its group', async () => {
  const script = 'trap "" TERM; setsid sleep 300 & echo up; while :; do sleep 0.1; done'
  supervise(simEngine({}, { argv: ['bash', '-c', script], stopGraceMs: 300 }), {})
  await until('both run', () => engines().length >= 2)
  const began = performance.now()
  await supervisor.end()
  assert.deepEqual(engines(), [])
  assert.ok(performance.now() - began >= 300, 'it had its grace')
  assert.equal(supervisor.report().state, 'stopped')
})

test('told to end at any moment of its start, it leaves nothing and does not hang', async () => {
  supervise(simEngine({ startupMs: 0 }), {})
  await supervisor.end()
  assert.deepEqual(engines(), [])
  assert.equal(supervisor.report().state, 'stopped')
})
