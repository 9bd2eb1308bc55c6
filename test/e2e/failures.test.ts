import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Plane, startPlane } from './plane.ts'

let plane: Plane

// What a real engine prints when it fails, each printed by the simulated one, and what a person must read.
const startFailures: [string, RegExp][] = [
  ['context_too_long', /context|max_model_len/i],
  ['unknown_argument', /argument/i],
  ['model_not_found', /model/i],
  ['port_in_use', /port|address/i],
  ['weights_broken', /weights|safetensors/i],
]

beforeAll(async () => {
  const scripts = Object.fromEntries(
    startFailures.map(([name]) => [name.replaceAll('_', '-'), { faults: { startFailure: name } }]),
  )
  plane = await startPlane({
    scripts: {
      ...scripts,
      'exits-at-once': { faults: { exitCode: 3 } },
      'no-command': { engine: 'sglang' },
      'never-healthy': { faults: { hangInPhase: 'weights_load' } },
    },
    config: { launch: { rounds: 1, triesPerOffer: 1 } },
    local: { engines: { sglang: { command: ['/nowhere/no-such-engine'] } } },
  })
})
afterAll(() => plane?.end())

async function nothingIsLeft(): Promise<void> {
  expect(await plane.machines()).toEqual(new Map())
}

test.for(startFailures)(
  'an engine that fails with %s ends the launch with class, cause and remedy',
  async ([name, cause]) => {
    const launch = await plane.launched(name.replaceAll('_', '-'))
    const failed = await plane.reaches(launch.id, ['failed'])
    expect(failed.failure).toMatchObject({ code: name })
    expect(failed.failure?.cause).toMatch(cause)
    expect(failed.failure?.remedy).toBeTruthy()
    const { lines, events } = await plane.client.transcript({ params: { id: launch.id } })
    expect(lines.length).toBeGreaterThan(0)
    expect(events.at(-1)?.kind).toBe('launch.failed')
    await nothingIsLeft()
  },
)

test('an engine command that does not exist is told by name', async () => {
  const launch = await plane.launched('no-command')
  const failed = await plane.reaches(launch.id, ['failed'])
  expect(failed.failure).toMatchObject({ code: 'command_not_found' })
  expect(failed.failure?.cause).toContain('/nowhere/no-such-engine')
  await nothingIsLeft()
})

test('an engine that exits at once ends the launch, and the wanted count goes down again', async () => {
  const launch = await plane.launched('exits-at-once')
  const failed = await plane.reaches(launch.id, ['failed'])
  expect(failed.failure).toMatchObject({ code: 'engine_exited' })
  const { items } = await plane.client.listDeployments({})
  expect(items.find(({ name }) => name === failed.deployment)).toMatchObject({ wanted: 0 })
  await nothingIsLeft()
})

test('an engine that never gets healthy times out, and the phase that was open names the cause', async () => {
  const launch = await plane.launched('never-healthy', { timeLimitS: 5 })
  const ended = await plane.reaches(launch.id, ['timed_out'], 30_000)
  expect(ended.failure).toMatchObject({ code: 'launch_timeout' })
  expect(ended.failure?.cause).toMatch(/engine/)
  expect(ended.phases.some(({ phase }) => phase === 'weights_load')).toBe(true)
  await nothingIsLeft()
})
