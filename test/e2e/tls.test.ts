import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, request as secureRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fingerprintOf, issue, makeAuthority } from '../../src/lib/certificate.ts'
import { type Plane, startPlane, until } from './plane.ts'
import { addressBeyondLoopback, RentedMachines } from './rented-machines.ts'

const host = addressBeyondLoopback()
const machines = new RentedMachines()
let plane: Plane
let ca: string

beforeAll(async () => {
  const lab = { nodeBin: process.execPath, privateNetwork: true, regions: ['lab/main'] }
  plane = await startPlane({
    scripts: { rented: {} },
    config: {
      listen: { host },
      gateway: { host },
      skypilot: { url: await machines.start(), clouds: { slurm: lab } },
    },
  })
  ca = readFileSync(join(plane.dir, 'authority.pem'), 'utf8')
})
afterAll(async () => {
  await plane?.end()
  await machines.stop()
})

interface Asked {
  readonly port: number
  readonly path: string
  readonly token: string
  readonly body: object
  readonly ca?: string
}

async function askOverTls({
  port,
  path,
  token,
  body,
  ca,
}: Asked): Promise<{ status: number | undefined; text: string }> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const asked = secureRequest({ host, port, path, method: 'POST', headers, agent: false, ...(ca ? { ca } : {}) })
  asked.end(JSON.stringify(body))
  const [response] = await once(asked, 'response')
  return { status: response.statusCode, text: await text(response) }
}

test('a rented machine joins over TLS by the fingerprint in its task, and serves through the TLS gateway, also after a restart', async () => {
  const launch = await plane.launched('rented', { wish: { clouds: ['slurm'], gpus: ['H100'], gpuCount: 1 } })
  const live = await plane.reaches(launch.id, ['live'], 40_000)
  expect(machines.rented[0]?.envs).toMatchObject({
    FD_CONTROL_URL: `https://${host}:${plane.port}`,
    FD_CONTROL_FINGERPRINT: fingerprintOf(ca),
  })

  const key = await plane.key()
  const body = { model: 'rented', messages: [{ role: 'user', content: 'hi' }], max_tokens: 8, stream: true }
  const streamed = { port: plane.gatewayPort, path: '/v1/chat/completions', token: key, body, ca }
  const answer = await askOverTls(streamed)
  expect(answer.status).toBe(200)
  expect(answer.text.trimEnd().endsWith('data: [DONE]')).toBe(true)

  await plane.signal('SIGTERM')
  await plane.start()
  expect(readFileSync(join(plane.dir, 'authority.pem'), 'utf8')).toBe(ca)
  await until(
    async () => (await askOverTls(streamed)).status === 200,
    20_000,
    () => 'the machine does not come back',
  )

  const node = await plane.node(live)
  await plane.client.releaseNode({ params: { id: node.id } })
  await plane.reaches(launch.id, ['ended'], 40_000)
  await until(
    async () => (await plane.machines()).size === 0,
    10_000,
    () => 'the machine runs on',
  )
}, 90_000)

test('who does not trust the authority is not served, and plain HTTP is told to use https', async () => {
  await plane.key('stranger')
  const body = { model: 'rented', messages: [] }
  const untrusting = { port: plane.gatewayPort, path: '/v1/chat/completions', token: 'fd_key_x', body }
  await expect(askOverTls(untrusting)).rejects.toThrow(/certificate/)
  for (const port of [plane.port, plane.gatewayPort]) {
    const plain = await fetch(`http://${host}:${port}/api/health`)
    expect([plain.status, await plain.text()]).toEqual([400, expect.stringMatching(/use https/)])
  }
})

test.each([
  ['the file', () => join(plane.dir, 'authority.pem')],
  ['the fingerprint', () => fingerprintOf(ca)],
])('the command line works from elsewhere with %s of the authority, and not without', async (_, authority) => {
  const env = { PATH: process.env.PATH, FLIGHTDECK_URL: `https://${host}:${plane.port}`, FLIGHTDECK_TOKEN: plane.token }
  const cli = [join(import.meta.dirname, '../../src/main/cli.ts'), 'status', '--json']
  const run = (more: object) => promisify(execFile)(process.execPath, cli, { env: { ...env, ...more } })
  const { stdout } = await run({ FLIGHTDECK_CA: authority() })
  expect(JSON.parse(stdout)).toMatchObject({ install: plane.installId })
  await expect(run({})).rejects.toMatchObject({ code: 3, stderr: expect.stringMatching(/certificate/) })
  await expect(run({ FLIGHTDECK_CA: 'e'.repeat(64) })).rejects.toMatchObject({ code: 2 })
})

test('a man in the middle with another certificate gets no word of the agent', async () => {
  const terms = { hosts: [host, '127.0.0.1'], now: Date.now(), days: 1 }
  const seen: unknown[] = []
  const man = createServer(issue(makeAuthority('Flightdeck install abc12', terms), terms), (asked, response) => {
    seen.push(asked.headers)
    response.end()
  })
  man.listen(0, '127.0.0.1')
  await once(man, 'listening')
  const tokenFile = join(machines.home, 'token')
  writeFileSync(tokenFile, 'fd_join_secret')
  const agent = spawn(process.execPath, [join(import.meta.dirname, '../../src/main/agent.ts'), 'run'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      FLIGHTDECK_MACHINE: 'fd-test-man',
      FLIGHTDECK_CONTROL_URL: `https://127.0.0.1:${(man.address() as AddressInfo).port}`,
      FLIGHTDECK_CONTROL_FINGERPRINT: fingerprintOf(ca),
      FLIGHTDECK_NODE_DIR: join(machines.home, 'man'),
      FLIGHTDECK_JOIN_TOKEN_FILE: tokenFile,
    },
  })
  const said = createInterface({ input: agent.stderr })
  for await (const line of said) if (line.includes('has the pinned fingerprint')) break
  const ended = once(agent, 'exit')
  agent.kill('SIGTERM')
  await ended
  man.close()
  expect(seen).toEqual([])
})
