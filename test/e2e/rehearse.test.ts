import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { machineProcesses } from '../../src/clouds/local/processes.ts'
import { projectRoot } from '../../src/main/config.ts'
import { processesAbout } from './plane.ts'

interface Told {
  readonly event: string
  readonly folder?: string
  readonly install?: string
  readonly node?: string
  readonly state?: string
}

/** Starts a storm, hands each event on, and tells how it ended and what it told. */
async function storm(words: readonly string[], on: (told: Told, end: () => void) => void = () => undefined) {
  const args = ['--disable-warning=ExperimentalWarning', join(projectRoot, 'src/main/cli.ts'), 'rehearse', 'spot-storm']
  const child = spawn(process.execPath, [...args, '--json', ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const told: Told[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as Told
    told.push(event)
    on(event, () => child.kill('SIGINT'))
  }
  const [code] = await exited
  const folder = told.find(({ event }) => event === 'starting')?.folder ?? ''
  const install = told.find(({ event }) => event === 'started')?.install ?? ''
  return { code, told, folder, install }
}

async function leavesNothing({ folder, install }: { folder: string; install: string }): Promise<void> {
  expect(folder).toMatch(/flightdeck-rehearsal-/)
  expect(processesAbout(folder)).toEqual([])
  expect(await machineProcesses(`fd-${install}-`)).toEqual([])
  expect(existsSync(folder)).toBe(false)
}

/** A fault of one machine that was seen from the blow until as many serve as before. */
const overcome = (fault: string) => ({
  fault,
  nodes: [expect.stringMatching(/^fd-/)],
  unroutableMs: expect.any(Number),
  replacementAskedMs: expect.any(Number),
  servesAgainMs: expect.any(Number),
  replacementsAsked: 1,
  released: 1,
  requests: expect.any(Number),
  costMicroUsd: expect.any(Number),
})

test('a storm takes a machine with notice, kills one, hangs the engine of one and silences one, counts what each costs, and ends when all are back', async () => {
  const ended = await storm(['--replicas', '3'])
  expect(ended.told.at(-1)).toMatchObject({
    event: 'result',
    replicas: 3,
    requests: expect.any(Number),
    failedRequests: expect.any(Number),
    brokenStreams: expect.any(Number),
    faults: ['notice', 'kill', 'hang', 'silence'].map(overcome),
    allBack: true,
  })
  expect((ended.told.at(-1) as unknown as { costMicroUsd: number }).costMicroUsd).toBeGreaterThan(0)
  expect(ended.told.map(({ event }) => event)).toEqual(
    expect.arrayContaining(['fault', 'struck', 'unroutable', 'asked', 'node', 'stopped']),
  )
  expect(ended.code).toBe(0)
  await leavesNothing(ended)
}, 480_000)

/** Each time that a machine was asked for: how many of those before served by then. */
function servedBefore(told: readonly Told[]): number[] {
  const fresh = new Set<string>()
  const served = new Set<string>()
  return told.flatMap(({ event, node = '', state = '' }) => {
    if (['intended', 'requesting', 'booting', 'loading'].includes(state)) fresh.add(node)
    if (state === 'ready' && fresh.has(node)) served.add(node)
    return event === 'asked' ? [served.size] : []
  })
}

test('half of eight machines fall silent at once and come back: the guard holds, and one other machine at a time is asked for', async () => {
  const ended = await storm(['--faults', 'half'])
  const four = Array(4).fill(expect.stringMatching(/^fd-/))
  const half = { fault: 'half', nodes: four, guard: expect.any(String), servesAgainMs: expect.any(Number) }
  expect(ended.told.at(-1)).toMatchObject({ event: 'result', replicas: 8, faults: [half], allBack: true })
  const served = servedBefore(ended.told)
  expect(served.length).toBeGreaterThan(0)
  expect(served).toEqual(served.map((_, i) => i))
  expect(ended.told.map(({ event }) => event)).toEqual(expect.arrayContaining(['guard', 'healed']))
  await leavesNothing(ended)
}, 360_000)

test('on a simulated cloud: a notice that is withdrawn loses no request, neither a cloud nor a control plane that is away costs a machine, nor a cloud that says gone of one that serves; one that says nothing of a machine without power has it replaced', async () => {
  const ended = await storm(['--replicas', '2', '--faults', 'withdrawn,cloud,unlisted,control,vanish'])
  const calm = { replacementsAsked: 0, released: 0, failedRequests: 0, brokenStreams: 0 }
  const nobody = { ...calm, nodes: [], servesAgainMs: expect.any(Number) }
  expect(ended.told.at(-1)).toMatchObject({
    event: 'result',
    faults: [
      { ...overcome('withdrawn'), released: expect.any(Number), failedRequests: 0, brokenStreams: 0 },
      { fault: 'cloud', ...nobody },
      { ...overcome('unlisted'), ...calm, unroutableMs: null, replacementAskedMs: null },
      { fault: 'control', ...nobody, guard: expect.any(String) },
      { ...overcome('vanish'), failedRequests: 0 },
    ],
    rented: true,
    allBack: true,
  })
  expect(ended.code).toBe(0)
  await leavesNothing(ended)
}, 600_000)

test("an engine that gives no token is found by being asked for one; a notice whose time slides is one, and the machine is the cloud's after it", async () => {
  const ended = await storm(['--replicas', '2', '--faults', 'wedge,sliding'])
  expect(ended.told.at(-1)).toMatchObject({
    event: 'result',
    faults: [overcome('wedge'), { ...overcome('sliding'), failedRequests: 0, brokenStreams: 0 }],
    rented: true,
    allBack: true,
  })
  expect(ended.code).toBe(0)
  await leavesNothing(ended)
}, 600_000)

test('a storm that is interrupted ends all that it has started', async () => {
  const ended = await storm(['--replicas', '2'], ({ event }, end) => {
    if (event === 'struck') end()
  })
  expect(ended.told.at(-1)).toMatchObject({ event: 'stopped' })
  expect(ended.code).toBe(130)
  await leavesNothing(ended)
}, 240_000)
