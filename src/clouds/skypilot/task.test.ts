import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, test } from 'vitest'
import { parse } from 'yaml'
import type { Offer } from '../../core/offer.ts'
import { runScript } from './run-script.ts'
import { type TaskParts, taskFile } from './task.ts'

const offer: Offer = {
  id: 'aws/us-east-1/T4x2/spot',
  cloud: 'aws',
  region: 'us-east-1',
  gpu: 'T4',
  gpuCount: 2,
  vramGib: 16,
  spot: true,
  pricePerHourMicroUsd: 1,
  available: null,
}
const parts: TaskParts = {
  name: 'fd-abc12-no1',
  offer,
  joinToken: 'fd_join_secret',
  controlUrl: 'https://control.example',
  controlFingerprint: null,
  agent: { url: 'https://control.example/agent.cjs', sha256: 'a'.repeat(64) },
  loop: { url: 'https://control.example/loop.sh', sha256: 'b'.repeat(64) },
  nodeBin: 'node',
  cpus: '4+',
  memoryGib: null,
  diskGib: null,
  image: null,
  directPort: null,
}

test('a task is pinned to one place, and gives the machine no credentials of the API server', () => {
  const task = parse(taskFile(parts))
  assert.deepEqual(task.resources, { infra: 'aws/us-east-1', accelerators: 'T4:2', cpus: '4+', use_spot: true })
  assert.equal(task.api_server_access, false)
})

test('a port is opened only where gateways call the machine', () => {
  assert.equal(parse(taskFile(parts)).resources.ports, undefined)
  assert.deepEqual(parse(taskFile({ ...parts, directPort: 8443 })).resources.ports, ['8443'])
})

test('the join token is the one secret, and stands nowhere else', () => {
  const text = taskFile(parts)
  assert.deepEqual(parse(text).secrets, { FD_JOIN_TOKEN: 'fd_join_secret' })
  assert.equal(text.split('fd_join_secret').length, 2)
})

test('whatever a value holds, it stays a value: scripts are constant, and YAML makes no number or no of it', () => {
  const nasty = 'no\n"; run: rm -rf / #$(x)`y`'
  const task = parse(taskFile({ ...parts, nodeBin: nasty, controlUrl: '1e3' }))
  assert.equal(task.envs.FD_NODE_BIN, nasty)
  assert.equal(task.envs.FD_CONTROL_URL, '1e3')
  assert.equal(task.run, runScript)
})

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-task-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

function runWith(over: Record<string, string>) {
  const [agent, loop] = ['// agent\n', 'env | grep FLIGHTDECK_ | sort; env | grep -c FD_JOIN_TOKEN; true\n']
  writeFileSync(join(dir, 'agent'), agent)
  writeFileSync(join(dir, 'loop'), loop)
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: dir,
    FD_MACHINE: 'fd-x-1',
    FD_CONTROL_URL: 'http://127.0.0.1:1',
    FD_CONTROL_FINGERPRINT: '',
    FD_AGENT_URL: pathToFileURL(join(dir, 'agent')).href,
    FD_AGENT_SHA256: digest(agent),
    FD_LOOP_URL: pathToFileURL(join(dir, 'loop')).href,
    FD_LOOP_SHA256: digest(loop),
    FD_NODE_BIN: process.execPath,
    FD_JOIN_TOKEN: 'fd_join_secret',
    ...over,
  }
  return promisify(execFile)('/bin/bash', ['-c', runScript], { env })
}

test('a machine fetches agent and loop, checks them, hides the token in a file, and becomes the loop', async () => {
  const { stdout } = await runWith({})
  assert.match(stdout, /FLIGHTDECK_MACHINE=fd-x-1/)
  assert.match(stdout, new RegExp(`FLIGHTDECK_NODE_BIN=${process.execPath}`))
  assert.match(stdout, /^0$/m)
  assert.equal(readFileSync(join(dir, '.flightdeck/fd-x-1/join-token'), 'utf8'), 'fd_join_secret')
})

test('what was downloaded and is not what was announced is never run, and the machine says so', async () => {
  await assert.rejects(runWith({ FD_AGENT_SHA256: 'c'.repeat(64) }), /flightdeck: file:.*agent .*wrong checksum/)
})

test('a machine without Node says what is missing', async () => {
  await assert.rejects(runWith({ FD_NODE_BIN: 'no-such-node' }), /flightdeck: there is no no-such-node on this machine/)
})
