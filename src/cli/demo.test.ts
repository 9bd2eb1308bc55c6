import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { demoFlags } from './demo.ts'
import { billText, chatText, saidText, tokensPerSecond } from './demo-text.ts'
import { demoConfig, machineMark, makeWorld, markedProcesses } from './demo-world.ts'
import { CliFailure } from './exit.ts'
import { ascii, at, node } from './test-views.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

const chat = { text: 'one\n two', promptTokens: 8, completionTokens: 60, firstTokenMs: 500, totalMs: 2_000 }

test('the pace of an answer counts the writing alone', () => {
  expect(tokensPerSecond(chat)).toBe(40)
  expect(tokensPerSecond({ ...chat, firstTokenMs: null })).toBe(30)
  expect(chatText(chat)).toBe('  8 tokens read, 60 written, first token after 500 ms, 40 tokens/s, 2.0s in all\n')
  expect(saidText(chat.text)).toBe('  "one two"\n')
})

test('the bill names what each second was for, and what a million tokens came to', () => {
  const line = { openedAt: at(0), pricePerHourMicroUsd: 2_490_000 }
  const ledger = [
    { ...line, duty: 'starting' as const, closedAt: at(10), costMicroUsd: 6_917 },
    { ...line, duty: 'serving' as const, closedAt: at(100), costMicroUsd: 69_167 },
  ]
  const detail = {
    ...node({ costMicroUsd: 76_084 }),
    addresses: [],
    hostname: null,
    holdChoices: [],
    ledger,
    timeline: [],
  }
  const spend = {
    from: at(0),
    to: at(100),
    totalMicroUsd: 76_084,
    burnPerHourMicroUsd: 0,
    byDuty: { starting: 6_917, serving: 69_167, held: 0, ending: 0 },
    failedMicroUsd: 0,
    idleMicroUsd: 60_000,
    promptTokens: 16,
    completionTokens: 120,
    perMillionTokensMicroUsd: 559_441_176,
    perMillionTokensBusyMicroUsd: 67_400_000,
    byDeployment: [],
  }
  expect(billText(detail, spend, ascii(80))).toBe(
    `  PAID FOR   TIME  PER HOUR     COST
  starting    10s   $2.4900  $0.0069
  serving   1m40s   $2.4900  $0.0692
  $0.0761 in all; 136 tokens make that $559.44 for a million tokens, $67.4000 without the idle time
`,
  )
})

test('an engine that the demo does not know is refused before anything is started', () => {
  expect(demoFlags(['--engine', 'vllm', '--keep-data'])).toEqual({ engine: 'vllm', keepData: true, json: false })
  expect(() => demoFlags(['--engine', 'sglang'])).toThrow(CliFailure)
})

test('the demo has a price, one machine, and ports that the system chooses', () => {
  const { config } = demoConfig('sim')
  expect(config).toMatchObject({ listen: { port: 0 }, gateway: { port: 0 }, local: { pricePerHourUsd: 2.49 } })
})

test('a world that never started leaves no process and no folder', async () => {
  const world = makeWorld({}, new AbortController().signal)
  expect(JSON.parse(readFileSync(`${world.folder}/config.json`, 'utf8'))).toEqual({})
  expect(await world.stop(null)).toEqual([])
  world.remove()
  expect(existsSync(world.folder)).toBe(false)
})

test('whatever carries the mark of the install is found and ended, also when it was started by others', async () => {
  const world = makeWorld({}, new AbortController().signal)
  ends.push(() => world.remove())
  const install = `t${process.pid}`
  const env = { PATH: process.env.PATH, FLIGHTDECK_MACHINE: `fd-${install}-one` }
  const child = spawn('sleep', ['60'], { env, stdio: 'ignore', detached: true })
  ends.push(() => child.kill('SIGKILL'))
  const exited = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)))
  await new Promise((resolve) => child.once('spawn', resolve))
  expect(markedProcesses([machineMark(install)])).toEqual([child.pid])
  expect(await world.stop(install)).toEqual([child.pid])
  expect(await exited).toBe('SIGTERM')
  expect(markedProcesses([machineMark(install)])).toEqual([])
})
