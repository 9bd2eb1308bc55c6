import { afterAll, beforeAll, expect, test } from 'vitest'
import { demoRuns } from '../e2e/demo-run.ts'
import { type Plane, startPlane } from '../e2e/plane.ts'
import { vllmOnCpu } from './vllm-rig.ts'

let plane: Plane

beforeAll(async () => {
  plane = await startPlane({
    local: { engines: { vllm: { command: await vllmOnCpu() } } },
    config: {
      launch: { rounds: 1, triesPerOffer: 1 },
      models: [
        { name: 'tiny', engine: 'vllm', source: 'tiny' },
        { name: 'too-long', engine: 'vllm', source: 'tiny', args: { 'max-model-len': 100_000 } },
      ],
    },
  })
})
afterAll(() => plane?.end())

test('a real vLLM is launched, followed by its own log, asked, streamed from, and released without a trace', async () => {
  const launch = await plane.launched('tiny')
  const live = await plane.reaches(launch.id, ['live'], 400_000)
  const phases = live.phases.map(({ phase }) => phase)
  for (const phase of ['engine_start', 'engine_init', 'weights_load', 'server_start', 'verifying'])
    expect(phases).toContain(phase)
  const node = await plane.node(live)
  expect(node.engineVersion).toMatch(/^0\.\d+/)

  const key = await plane.key()
  const plain = await plane.chat('tiny', key, { max_tokens: 8 })
  expect(plain.status).toBe(200)
  expect(await plain.json()).toMatchObject({ model: 'tiny', usage: { completion_tokens: expect.any(Number) } })
  const streamed = await (await plane.chat('tiny', key, { max_tokens: 8, stream: true })).text()
  expect(streamed.trimEnd().endsWith('data: [DONE]')).toBe(true)
  const wrong = await plane.chat('tiny', key, { max_tokens: 1_000_000 })
  expect(wrong.status).toBe(400)
  expect(Object.keys(((await wrong.json()) as { error: object }).error).sort()).toEqual([
    'code',
    'message',
    'param',
    'type',
  ])

  await plane.client.releaseNode({ params: { id: node.id } })
  await plane.reaches(launch.id, ['ended'], 60_000)
  expect(await plane.machines()).toEqual(new Map())
})

test('a context longer than the model has ends the launch with that cause, in words of our own', async () => {
  const launch = await plane.launched('too-long')
  const failed = await plane.reaches(launch.id, ['failed'], 300_000)
  expect(failed.failure).toMatchObject({ code: 'context_too_long', retry: 'never' })
  expect(failed.failure?.remedy).toBeTruthy()
  expect(await plane.machines()).toEqual(new Map())
})

test('the demo does the same with the real vLLM, which it installs itself', async () => {
  const out = await demoRuns(['--', '--engine', 'vllm'], ['joined', 'engine start', 'weights load'])
  expect(out).toContain('The engine is a real vLLM')
  expect(out).toMatch(/ready: \S+\/vllm-cpu\/serve/)
})
