import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { type Plane, startPlane } from './plane.ts'

let plane: Plane

const recorded = join(import.meta.dirname, '../fixtures/vllm')

// Recorded from a real vLLM: what it printed, how it left, its class, and what a person must read.
const startFailures: [string, number, string, RegExp][] = [
  ['broken_weights', 1, 'weights_broken', /weights|safetensors/i],
  ['max_model_len', 1, 'context_too_long', /4096.*2048/],
  ['model_absent', 1, 'model_not_found', /\/opt\/absent/],
  ['port_in_use', 1, 'port_in_use', /port|address/i],
  ['unknown_arg', 2, 'unknown_argument', /--no-such-flag/],
]
const fileOf = (name: string) => join(recorded, `log.fail.${name}.txt`)
const modelOf = (name: string) => name.replaceAll('_', '-')

beforeAll(async () => {
  const scripts = Object.fromEntries(
    startFailures.map(([name, exitCode]) => [modelOf(name), { prints: fileOf(name), exitCode }]),
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

/** Class, cause, remedy and transcript are there, no process is, and nothing is paid for any more. */
async function endedWell(launch: LaunchDetail, code: string): Promise<string[]> {
  expect(await plane.machines()).toEqual(new Map())
  expect(launch.failure).toMatchObject({ code, remedy: expect.stringMatching(/\w+/) })
  const node = await plane.node(launch)
  expect([node.state, node.ledger.filter(({ closedAt }) => closedAt === null)]).toEqual(['gone', []])
  const { lines, events } = await plane.client.transcript({ params: { id: launch.id } })
  expect(events.at(-1)?.kind).toBe(`launch.${launch.state}`)
  expect(lines.length).toBeGreaterThan(0)
  return lines.map(({ text }) => text)
}

test('every failure that was recorded of a real engine is tried here', () => {
  const files = readdirSync(recorded).filter((file) => file.startsWith('log.fail.'))
  expect(startFailures.map(([name]) => `log.fail.${name}.txt`)).toEqual(files.sort())
})

test.for(startFailures)(
  'an engine that fails as recorded in log.fail.%s ends the launch with class, cause and remedy',
  { timeout: 40_000 },
  async ([name, , code, cause]) => {
    const launch = await plane.launched(modelOf(name))
    const failed = await plane.reaches(launch.id, ['failed'], 30_000)
    expect(failed.failure?.cause).toMatch(cause)
    const printed = readFileSync(fileOf(name), 'utf8').trim().split('\n')
    expect(await endedWell(failed, code)).toContain(printed.at(-1)?.trim())
  },
)

test('an engine command that does not exist is told by name', async () => {
  const launch = await plane.launched('no-command')
  const failed = await plane.reaches(launch.id, ['failed'])
  expect(failed.failure?.cause).toContain('/nowhere/no-such-engine')
  await endedWell(failed, 'command_not_found')
})

test('an engine that exits at once ends the launch, and the wanted count goes down again', async () => {
  const launch = await plane.launched('exits-at-once')
  const failed = await plane.reaches(launch.id, ['failed'])
  expect(failed.failure?.cause).toMatch(/\b3\b/)
  const { items } = await plane.client.listDeployments({})
  expect(items.find(({ name }) => name === failed.deployment)).toMatchObject({ wanted: 0 })
  await endedWell(failed, 'engine_exited')
})

test('an engine that never gets healthy times out, and the phase that was open names the cause', async () => {
  const launch = await plane.launched('never-healthy', { timeLimitS: 15 })
  const ended = await plane.reaches(launch.id, ['timed_out'], 60_000)
  expect(ended.failure?.cause).toMatch(/ s in loading the weights/)
  expect(ended.failure?.evidence).toMatch(/^engine: .*/m)
  expect(ended.phases.some(({ phase }) => phase === 'weights_load')).toBe(true)
  await endedWell(ended, 'launch_timeout')
})
