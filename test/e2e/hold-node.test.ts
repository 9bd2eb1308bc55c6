import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import type { NodeDetail } from '../../src/wire/views.ts'
import { ledgerIsWhole, type Plane, startPlane, until } from './plane.ts'

let plane: Plane
afterEach(() => plane?.end())

/** The command itself, as a person runs it. */
async function flightdeck(...args: string[]): Promise<string> {
  const cli = join(import.meta.dirname, '../../src/main/cli.ts')
  const env = { ...process.env, FLIGHTDECK_URL: plane.url, FLIGHTDECK_TOKEN: plane.token }
  const run = promisify(execFile)
  return (await run(process.execPath, ['--disable-warning=ExperimentalWarning', cli, ...args], { env })).stdout
}
const shown = (id: string): Promise<NodeDetail> => plane.client.showNode({ params: { id } })
const becomes = async (id: string, state: NodeDetail['state'], withinMs = 60_000): Promise<NodeDetail> => {
  let last: NodeDetail | null = null
  const look = async () => {
    last = await shown(id)
    return last.state === state
  }
  await until(
    look,
    withinMs,
    () => `${last?.state}, not ${state}: ${JSON.stringify(last?.timeline.map((e) => e.text))}`,
  )
  return shown(id)
}
const readyOnes = async () => (await plane.client.listNodes({ query: { state: 'ready' } })).items.map(({ id }) => id)

test('a node whose engine fails for good is kept as asked beforehand, beside its replacement, also over a kill of the control plane, and released afterwards', async () => {
  plane = await startPlane({ scripts: { served: {} }, config: { engineRestarts: 0 } })
  const { id: deployment } = await plane.client.createDeployment({
    body: { name: 'served', model: 'served', wanted: 1 },
  })
  await until(
    async () => (await readyOnes()).length === 1,
    60_000,
    () => 'it never serves',
  )
  const [first = ''] = await readyOnes()
  const { name } = await shown(first)
  const said = await flightdeck('hold', name, '--for', '10m')
  expect(said).toContain(`${name} is kept for the next`)
  expect(said).toMatch(/\$3\.6000\/h, \$0\.(59|60)\d\d until then, beside another machine in its place/)

  const [engine = 0] = (await plane.running('scripted-engine')).get(name) ?? []
  process.kill(engine, 'SIGKILL')
  const held = await becomes(first, 'held')
  // What is killed from outside is taken for a lack of memory.
  expect(held.failure?.code).toBe('host_memory')
  expect(held.hold).toMatchObject({ isKept: true, pricePerHourMicroUsd: 3_600_000 })
  await plane.signal('SIGKILL')
  await plane.start()
  await until(
    async () => (await readyOnes()).some((id) => id !== first),
    60_000,
    () => 'it is not replaced',
  )
  // Its agent still speaks, and what its engine printed is still there.
  const spoke = Date.parse((await shown(first)).signals.heartbeat.at ?? '')
  await until(
    async () => Date.parse((await shown(first)).signals.heartbeat.at ?? '') > spoke,
    20_000,
    () => 'its agent is silent',
  )
  expect((await plane.machines()).has(name)).toBe(true)
  expect((await plane.client.nodeLogs({ params: { id: first } })).items.length).toBeGreaterThan(0)
  expect(await flightdeck('nodes', name)).toMatch(/hold +kept for .* more, for .*: \$3\.6000\/h/)
  const { hold } = JSON.parse(await flightdeck('hold', name, '--for', '2s', '--json')) as NodeDetail
  const gone = await becomes(first, 'gone')
  expect(Date.parse(gone.goneAt ?? '')).toBeGreaterThanOrEqual(Date.parse(hold?.until ?? ''))
  ledgerIsWhole(gone)
  expect(gone.ledger.map(({ duty }) => duty)).toEqual(['starting', 'serving', 'held', 'ending'])
  expect(await plane.client.showDeployment({ params: { id: deployment } })).toMatchObject({ wanted: 1, ready: 1 })
  expect((await plane.machines()).size).toBe(1)
}, 180_000)

test('a hold that is asked for while the node drains keeps it, and `--off` lets it go at once', async () => {
  plane = await startPlane({ scripts: { served: { tokensPerS: 10 } } })
  const launch = await plane.launched('served')
  const { id, name } = await plane.node(await plane.reaches(launch.id, ['live']))
  // It is in flight until we hang up, so the drain cannot be over before.
  const client = new AbortController()
  const stream = await plane.chat('served', await plane.key(), { stream: true, max_tokens: 3_000 }, client.signal)
  expect(stream.status).toBe(200)
  await plane.client.drainNode({ params: { id }, body: {} })
  await becomes(id, 'draining')
  const answer = JSON.parse(await flightdeck('hold', id, '--for', '2h', '--json')) as NodeDetail
  expect(answer.hold).toMatchObject({ isKept: false, pricePerHourMicroUsd: 3_600_000 })
  expect(answer.hold?.costMicroUsd).toBeGreaterThan(7_190_000)
  client.abort()
  await becomes(id, 'held')
  // What it runs is still there for somebody to look at, and takes no request.
  expect((await plane.running('scripted-engine')).has(name)).toBe(true)
  expect(await flightdeck('hold', id, '--off')).toBe(`${name} is not held any more.\n`)
  ledgerIsWhole(await becomes(id, 'gone'))
  expect((await plane.client.audit({})).items.map(({ action }) => action)).toEqual(
    expect.arrayContaining(['node.hold', 'node.hold_off']),
  )
}, 120_000)

test('cancelled the moment that its node is kept, a launch ends, and its node is kept no longer', async () => {
  plane = await startPlane({ scripts: { served: {} }, config: { engineRestarts: 0 } })
  // The loop of the launch decides at that very moment, so it is tried several times.
  for (const round of [1, 2, 3, 4]) {
    const launch = await plane.launched('served', { deployment: `kept-${round}` })
    const { id, name } = await plane.node(await plane.reaches(launch.id, ['live']))
    await plane.client.holdNode({ params: { id }, body: { forS: 600 } })
    const [engine = 0] = (await plane.running('scripted-engine')).get(name) ?? []
    process.kill(engine, 'SIGKILL')
    await becomes(id, 'held')
    await plane.client.cancelLaunch({ params: { id: launch.id } })
    ledgerIsWhole(await becomes(id, 'gone'))
    // `ended` where it had given the node up before the cancel came.
    await plane.reaches(launch.id, ['cancelled', 'ended'])
    expect((await plane.machines()).has(name)).toBe(false)
    for (const { id: other, actions } of (await plane.client.listLaunches({ query: {} })).items)
      if (actions.length > 0) await plane.client.cancelLaunch({ params: { id: other } })
  }
}, 180_000)
