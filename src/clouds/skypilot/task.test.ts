import assert from 'node:assert/strict'
import { test } from 'vitest'
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
  agent: { from: ['https://control.example'], bundle: 'a'.repeat(64), loop: 'b'.repeat(64), x64: null, arm64: null },
  nodeBin: 'node',
  cpus: '4+',
  memoryGib: null,
  diskGib: null,
  image: null,
  autodown: false,
  directPort: null,
}

test('a task is pinned to one place, and gives the machine no credentials of the API server', () => {
  const task = parse(taskFile(parts))
  assert.deepEqual(task.resources, { infra: 'aws/us-east-1', accelerators: 'T4:2', cpus: '4+', use_spot: true })
  assert.equal(task.api_server_access, false)
})

test('a machine type that the offer names is all that is said of its size; an offer without one is sized as configured', () => {
  const sized = { ...parts, memoryGib: '64+' }
  const { resources } = parse(taskFile({ ...sized, offer: { ...offer, instanceType: 'g4dn.12xlarge' } }))
  assert.deepEqual(
    [resources.instance_type, resources.accelerators, resources.cpus, resources.memory],
    ['g4dn.12xlarge', 'T4:2', undefined, undefined],
  )
  const other = parse(taskFile(sized)).resources
  assert.deepEqual([other.instance_type, other.cpus, other.memory], [undefined, '4+', '64+'])
})

test('an image takes the place of the installing, and disk and memory are ordered as they were configured', () => {
  const image = 'docker:vllm/vllm-openai:v0.32.0'
  const { resources } = parse(taskFile({ ...parts, image, diskGib: 200, memoryGib: '64+' }))
  assert.deepEqual([resources.image_id, resources.disk_size, resources.memory], [image, 200, '64+'])
})

test('a machine that can end itself is told to, ten minutes after its job', () => {
  assert.equal(parse(taskFile(parts)).resources.autostop, undefined)
  assert.deepEqual(parse(taskFile({ ...parts, autodown: true })).resources.autostop, {
    idle_minutes: 10,
    down: true,
    wait_for: 'jobs',
  })
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
