import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Plane, startPlane } from './plane.ts'

const node = [process.execPath, '--disable-warning=ExperimentalWarning']
const engine = [...node, join(import.meta.dirname, 'scripted-engine.ts')]
const stage = (name: string, title: string, script: string) => {
  return { stage: name, title, commands: [['sh', '-c', script]], env: { HOME_OF_ENGINE: '{env}' } }
}
const filled = 'echo "Downloading it (1.0MiB)"; head -c 1000000 /dev/zero >"$HOME_OF_ENGINE/it"; echo " Downloaded it"'

let plane: Plane
beforeAll(async () => {
  const good = [stage('python', 'a folder', 'true'), stage('engine', 'the engine', filled)]
  const full = [stage('engine', 'the engine', 'echo "No space left on device" >&2; exit 1')]
  plane = await startPlane({
    local: { engines: { vllm: { recipe: 'good' }, sglang: { recipe: 'full' } } },
    config: {
      launch: { rounds: 1, triesPerOffer: 1 },
      recipes: {
        good: { engine: 'vllm', command: engine, stages: good },
        full: { engine: 'sglang', command: engine, stages: full },
      },
      models: ['vllm', 'sglang'].map((name) => ({ name, engine: name, source: JSON.stringify({ startupMs: 100 }) })),
    },
  })
})
afterAll(() => plane?.end())

const planned = async () => {
  const reply = await plane.client.createLaunch({ body: { model: 'vllm', dryRun: true } })
  return 'dryRun' in reply ? reply.plan.offers[0]?.setups.does : null
}

test('a launch shows what is installed, by size and speed; the next one on the same host has it already', async () => {
  expect(await planned()).toMatchObject({ way: 'recipe', name: 'good', measured: false })
  const first = await plane.launched('vllm')
  const live = await plane.reaches(first.id, ['live'])
  const installed = live.phases.find(({ phase }) => phase === 'engine_install')
  expect(installed).toMatchObject({ percent: 100, bytes: expect.any(Number), bytesPerS: expect.any(Number) })
  expect(installed?.bytes).toBeGreaterThan(900_000)
  expect(installed?.endedAt).not.toBe(null)
  const order = live.phases.map(({ phase }) => phase)
  expect(order.indexOf('python_install')).toBeGreaterThan(order.indexOf('joined'))
  expect(order.indexOf('engine_start')).toBeGreaterThan(order.indexOf('engine_install'))
  const { lines } = await plane.client.transcript({ params: { id: first.id } })
  expect(lines.map(({ text }) => text)).toContain('Downloading it (1.0MiB)')

  const second = await plane.launched('vllm')
  const again = await plane.reaches(second.id, ['live'])
  expect(again.phases.map(({ phase }) => phase)).not.toContain('engine_install')
  for (const { id } of [first, second]) await plane.client.cancelLaunch({ params: { id } })
  for (const { id } of [first, second]) await plane.reaches(id, ['cancelled'])
  expect(await plane.machines()).toEqual(new Map())
  const kept = readdirSync(join(plane.dir, 'local', 'recipes')).filter((name) => /^env-\w+$/.test(name))
  expect(kept).toHaveLength(1)
})

test('an installation that fails ends the launch with its class, its remedy and what was printed', async () => {
  const launch = await plane.launched('sglang')
  const failed = await plane.reaches(launch.id, ['failed'])
  expect(failed.failure).toMatchObject({ code: 'disk_full', retry: 'not_here' })
  expect(failed.failure?.remedy).toMatch(/larger disk/)
  expect(failed.failure?.evidence).toContain('No space left on device')
  expect(await plane.machines()).toEqual(new Map())
})
