import { readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { signalProcess } from '../../src/clouds/local/processes.ts'
import type { LaunchDetail, NodeDetail } from '../../src/wire/views.ts'
import { commandOf, ledgerIsWhole, type Plane, processesAbout, scriptedEngine, startPlane, until } from './plane.ts'

let plane: Plane
afterEach(() => plane?.end())

/** One machine with one engine: counted among the processes of this host, by what they were started with. */
async function oneEngine(): Promise<void> {
  const machines = await plane.machines()
  const engines = await processes('scripted-engine')
  expect([machines.size, engines.length]).toEqual([1, 1])
}

async function processes(match: string): Promise<number[]> {
  return [...(await plane.running(match)).values()].flat()
}

const launchIn = async (id: string) => plane.client.showLaunch({ params: { id } })

/** Asks twice, as impatient people do. Returns the launch as it is shown from the moment on that it is `cancelled`. */
async function cancelled(id: string): Promise<LaunchDetail> {
  await plane.client.cancelLaunch({ params: { id } })
  await plane.client.cancelLaunch({ params: { id } })
  const over = await plane.reaches(id, ['cancelled'], 20_000)
  const machines = await plane.machines()
  for (const { nodeId } of over.attempts) {
    const node = await plane.client.showNode({ params: { id: nodeId } })
    expect([node.state, machines.get(node.name)]).toEqual(['gone', undefined])
    expect(node.ledger.every(({ closedAt }) => closedAt !== null)).toBe(true)
  }
  return over
}

test('killed and cancelled in the queue and while backing off: nothing is started any more, and what others have stays', async () => {
  plane = await startPlane({
    scripts: { stuck: { faults: { hangInPhase: 'weights_load' } }, broken: { faults: { exitCode: 1 } } },
    // Who backs off keeps its place among those in flight.
    config: { queue: { attemptsInFlight: 2 }, launch: { triesPerOffer: 2, firstBackOffS: 600 } },
  })
  const broken = await plane.launched('broken')
  expect((await plane.reaches(broken.id, ['backing_off'], 30_000)).attempts).toHaveLength(1)
  const first = await plane.launched('stuck')
  await until(
    async () => (await processes('scripted-engine')).length === 1,
    20_000,
    () => 'the first does not start',
  )
  const queued = await plane.launched('stuck', { deployment: 'another' })
  expect((await launchIn(queued.id)).state).toBe('queued')
  const before = await plane.machines()
  await plane.signal('SIGKILL')
  await plane.start()
  const states = async () => [(await launchIn(queued.id)).state, (await launchIn(broken.id)).state]
  expect(await states()).toEqual(['queued', 'backing_off'])
  expect((await cancelled(queued.id)).attempts).toEqual([])
  expect((await cancelled(broken.id)).attempts).toHaveLength(1)
  expect(await plane.machines()).toEqual(before)
  await cancelled(first.id)
  expect(await plane.machines()).toEqual(new Map())
}, 90_000)

async function liveNode(): Promise<{ key: string; node: NodeDetail; launchId: string }> {
  const launch = await plane.launched('quick')
  const live = await plane.reaches(launch.id, ['live'])
  return { key: await plane.key(), node: await plane.node(live), launchId: launch.id }
}

test('kill -9 of the agent: the engine stays, a broken stream ends as broken, and the node is back within seconds', async () => {
  plane = await startPlane({ scripts: { quick: { tokensPerS: 20 } } })
  const { key, node } = await liveNode()
  const engines = await processes('scripted-engine')
  const stream = await plane.chat('quick', key, { stream: true, max_tokens: 400 })
  const reading = stream.text()
  const [agent] = await processes('agent.cjs')
  if (!agent) throw new Error('no agent process was found')
  signalProcess(agent, 'SIGKILL')
  const read = await reading
  expect(read).toMatch(/"error"/)
  expect(read).not.toContain('[DONE]')
  await until(
    async () => (await plane.chat('quick', key)).status === 200,
    10_000,
    () => 'the node did not come back',
  )
  expect(await processes('scripted-engine')).toEqual(engines)
  expect((await plane.client.showNode({ params: { id: node.id } })).state).toBe('ready')
}, 60_000)

test('kill -9 of the engine: it is started again under the same node', async () => {
  plane = await startPlane({ scripts: { quick: {} } })
  const { key, node } = await liveNode()
  const killed = await processes('scripted-engine')
  for (const pid of killed) signalProcess(pid, 'SIGKILL')
  await until(
    async () => (await processes('scripted-engine')).some((pid) => !killed.includes(pid)),
    15_000,
    () => 'no engine was started',
  )
  await until(
    async () => (await plane.chat('quick', key)).status === 200,
    15_000,
    () => 'it does not answer',
  )
  await oneEngine()
  expect((await plane.client.showNode({ params: { id: node.id } })).state).toBe('ready')
}, 60_000)

const gatewayPid = () => (JSON.parse(readFileSync(`${plane.dir}/gateway/process.json`, 'utf8')) as { pid: number }).pid

test('kill -9 of the gateway: it is started again, and agents find their way to it', async () => {
  plane = await startPlane({ scripts: { quick: {} } })
  const { key } = await liveNode()
  const pid = gatewayPid()
  signalProcess(pid, 'SIGKILL')
  await until(
    async () => (await plane.chat('quick', key).catch(() => null))?.status === 200,
    20_000,
    () => 'no way back',
  )
  expect(gatewayPid()).not.toBe(pid)
  expect(commandOf(pid)).toBe('')
}, 60_000)

test('kill -9 of control plane, gateway, agent and engine together: after a restart the same node serves, with one engine', async () => {
  plane = await startPlane({ scripts: { quick: {} } })
  const { key, node } = await liveNode()
  const pid = gatewayPid()
  await plane.signal('SIGKILL')
  signalProcess(pid, 'SIGKILL')
  for (const victim of [...(await processes('agent.cjs')), ...(await processes('scripted-engine'))])
    signalProcess(victim, 'SIGKILL')
  await plane.start()
  await until(
    async () => (await plane.chat('quick', key).catch(() => null))?.status === 200,
    30_000,
    () => 'it does not serve',
  )
  await oneEngine()
  const shown = await plane.client.showNode({ params: { id: node.id } })
  expect(shown.state).toBe('ready')
  ledgerIsWhole(shown)
}, 90_000)

test('kill -9 of all there is, the database and the loops of the machines with it: a start at once finds all again, and replaces what is lost', async () => {
  plane = await startPlane({ scripts: { quick: {} } })
  const { key, node, launchId } = await liveNode()
  const all = processesAbout(plane.dir)
  const named = (text: string) => all.filter((pid) => commandOf(pid).includes(text)).length
  // The server of the database and its children, the two processes of ours, and what a machine consists of.
  expect(['postgres', 'cli.ts', 'gateway.ts', 'loop.sh', 'agent.cjs', 'scripted-engine'].map(named)).not.toContain(0)
  // Stopped first, so that none sees another die and does something about it.
  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of all) signalProcess(pid, signal)
  await plane.signal('SIGKILL')
  await plane.start()
  expect((await launchIn(launchId)).attempts).toHaveLength(1)
  await until(
    async () => {
      expect((await processes('scripted-engine')).length).toBeLessThanOrEqual(1)
      return (await plane.chat('quick', key).catch(() => null))?.status === 200
    },
    60_000,
    () => 'nothing serves in place of what was lost',
  )
  await oneEngine()
  const lost = await plane.client.showNode({ params: { id: node.id } })
  const next = (await plane.client.listNodes({})).items.find(({ state }) => state === 'ready')
  const serving = await plane.client.showNode({ params: { id: next?.id ?? '' } })
  expect([lost.state, serving.id === lost.id]).toEqual(['gone', false])
  for (const one of [lost, serving]) ledgerIsWhole(one)
  const [closedAt, openedAt] = [lost.ledger.at(-1)?.closedAt, serving.ledger[0]?.openedAt]
  expect(Date.parse(openedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(closedAt ?? ''))
}, 120_000)

test('SIGSTOP of the engine: hung with its port open, it loses its traffic and is told apart from a dead one', async () => {
  plane = await startPlane({ scripts: { quick: {} } })
  const { key, node } = await liveNode()
  for (const pid of await processes('scripted-engine')) signalProcess(pid, 'SIGSTOP')
  await until(
    async () => (await plane.client.showNode({ params: { id: node.id } })).verdict === 'suspect',
    75_000,
    () => 'nobody noticed that the engine hangs',
  )
  await until(
    // A request that was sent before the gateway heard of it waits for the engine that hangs.
    async () => (await plane.chat('quick', key, {}, AbortSignal.timeout(2_000))).status === 503,
    10_000,
    () => 'requests still go there',
  )
  for (const pid of await processes('scripted-engine')) signalProcess(pid, 'SIGCONT')
  await until(
    async () => (await plane.client.showNode({ params: { id: node.id } })).verdict === 'healthy',
    60_000,
    () => 'it is not well again',
  )
  await until(
    async () => (await plane.chat('quick', key)).status === 200,
    10_000,
    () => 'it gets no requests again',
  )
  await oneEngine()
}, 170_000)

test('an engine that wrote over its environment is adopted when its agent is killed, and ends when all but it were', async () => {
  // As vLLM's core looks once it has set its title: nothing in its environment says to whom it belongs.
  const command = ['/usr/bin/env', '-i', ...scriptedEngine]
  plane = await startPlane({ scripts: { quick: {} }, local: { engines: { vllm: { command } }, drainLimitS: 2 } })
  const { key, launchId } = await liveNode()
  const engines = () => processesAbout(plane.dir).filter((pid) => commandOf(pid).includes('scripted-engine'))
  const [engine = 0, ...others] = engines()
  expect(others).toEqual([])
  expect(await processes('scripted-engine')).toEqual([])
  for (const pid of await processes('agent.cjs')) signalProcess(pid, 'SIGKILL')
  await until(
    async () => (await plane.chat('quick', key)).status === 200,
    15_000,
    () => 'the node did not come back',
  )
  expect(engines()).toEqual([engine])
  for (const pid of [...(await plane.machines()).values()].flat()) signalProcess(pid, 'SIGKILL')
  expect(engines()).toEqual([engine])
  await cancelled(launchId)
  expect(engines()).toEqual([])
}, 90_000)
