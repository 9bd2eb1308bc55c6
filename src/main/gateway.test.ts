import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, test } from 'vitest'
import { FakeControl } from '../gateway/fake-control.ts'
import { answerJson, FakeNode, wellEngine } from '../gateway/fake-node.ts'
import { credentialOf, routed, send, tableOf } from '../gateway/fake-world.ts'

let dir: string
let control: FakeControl
const children: ChildProcess[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fd-gateway-main-'))
  await writeFile(join(dir, 'token'), 'fd_gw_token-of-the-test')
  control = new FakeControl(tableOf([routed('n1')]))
  await control.listen()
})

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await control.close()
  await rm(dir, { recursive: true })
})

function start(env: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'gateway.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      FLIGHTDECK_GATEWAY_LISTEN: '127.0.0.1:0',
      FLIGHTDECK_CONTROL_URL: control.url,
      FLIGHTDECK_GATEWAY_TOKEN_FILE: join(dir, 'token'),
      FLIGHTDECK_GATEWAY_DIR: join(dir, 'data'),
      ...env,
    },
  })
  children.push(child)
  return child
}

async function ready(child: ChildProcess): Promise<number> {
  if (!child.stdout) throw new Error('no output')
  for await (const line of createInterface(child.stdout)) {
    const said = JSON.parse(line)
    assert.deepEqual([said.ready, said.pid], [true, child.pid])
    return said.port
  }
  throw new Error('The gateway ended before it was ready.')
}

async function lend(port: number): Promise<FakeNode> {
  const script = wellEngine('m', ({ socket }) =>
    answerJson(socket, { usage: { prompt_tokens: 1, completion_tokens: 2 } }),
  )
  const node = new FakeNode(port, credentialOf('n1'), script)
  assert.equal(await node.dial(), 101)
  return node
}

const post = (port: number) => send(port, 'POST', '/v1/chat/completions', {}, '{"model":"m"}')

/** Requests that the journal holds, in a batch or not. */
async function kept(): Promise<number> {
  const lines = (await readFile(join(dir, 'data', 'usage.jsonl'), 'utf8')).match(/"requests":\d+/g) ?? []
  return lines.reduce((sum, found) => sum + Number(found.slice(11)), 0)
}

test('killed without warning, it has lost no usage that was on disk, and control counts it once', async () => {
  control.takesReports = false
  const first = start()
  const port = await ready(first)
  await control.untilPolled()
  const node = await lend(port)
  for (let i = 0; i < 5; i++) assert.equal((await post(port)).status, 200)
  while ((await kept()) < 5);
  first.kill('SIGKILL')
  await once(first, 'exit')
  node.close()
  control.takesReports = true
  await ready(start())
  await control.until(() => control.usage.reduce((sum, { requests }) => sum + requests, 0) === 5)
})

test('SIGTERM ends it with 0 after a last report', async () => {
  const child = start()
  const port = await ready(child)
  await control.untilPolled()
  const node = await lend(port)
  assert.equal((await post(port)).status, 200)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  assert.deepEqual(await exited, [0, null])
  assert.equal(
    control.usage.reduce((sum, { requests }) => sum + requests, 0),
    1,
  )
  node.close()
})

test('it refuses to serve plain HTTP beyond loopback, and says what to do', async () => {
  for (const [env, words] of [
    [{ FLIGHTDECK_GATEWAY_LISTEN: '0.0.0.0:0' }, /only served on loopback.*TLS_CERT_FILE/],
    [{ FLIGHTDECK_CONTROL_URL: 'http://control.example:8080' }, /must be https/],
    [{ FLIGHTDECK_GATEWAY_DIR: '' }, /FLIGHTDECK_GATEWAY_DIR is not set/],
    [{ FLIGHTDECK_GATEWAY_PING_MS: 'soon' }, /must be a whole number from 1, not "soon"/],
  ] as const) {
    const child = start(env)
    let said = ''
    child.stderr?.on('data', (bytes: Buffer) => {
      said += bytes.toString()
    })
    const [code] = await once(child, 'close')
    assert.equal(code, 1)
    assert.match(said, words)
  }
})
