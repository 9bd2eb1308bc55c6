import { afterEach, expect, test } from 'vitest'
import { signalProcess } from '../../src/clouds/local/processes.ts'
import type { NodeState } from '../../src/core/node-table.ts'
import type { NodeDetail } from '../../src/wire/views.ts'
import { type Plane, startPlane, until } from './plane.ts'

let plane: Plane
afterEach(() => plane?.end())

/** One machine with one engine: counted among the processes of this host, by what they were started with. */
async function oneEngine(): Promise<void> {
  const machines = await plane.machines()
  expect(machines.size).toBe(1)
}

function ledgerIsWhole(node: NodeDetail): void {
  for (const [i, interval] of node.ledger.entries()) {
    if (i > 0) expect(interval.openedAt).toBe(node.ledger[i - 1]?.closedAt)
    if (i < node.ledger.length - 1) expect(interval.closedAt).not.toBeNull()
  }
}

test('kill -9 of the control plane at any moment of a launch: it goes on where it was, with exactly one engine', async () => {
  plane = await startPlane({ scripts: { slow: { startupMs: 900 } } })
  // Moments after the request, in ms: before anything was asked, while it is asked, while the engine starts, when live.
  for (const [i, moment] of [0, 30, 60, 100, 160, 250, 400, 700, 1_100, 1_800].entries()) {
    const launch = await plane.launched('slow', { deployment: `round-${i}` })
    await new Promise((resolve) => setTimeout(resolve, moment))
    await plane.signal('SIGKILL')
    await plane.start()
    const live = await plane.reaches(launch.id, ['live'], 30_000)
    await oneEngine()
    expect(live.attempts.length).toBe(1)
    await plane.client.cancelLaunch({ params: { id: launch.id } })
    // And once more while it ends.
    await plane.signal('SIGKILL')
    await plane.start()
    const over = await plane.reaches(launch.id, ['cancelled'], 30_000)
    expect(await plane.machines()).toEqual(new Map())
    const node = await plane.node(over)
    expect(node.state).toBe('gone')
    ledgerIsWhole(node)
    expect(node.ledger.at(-1)?.closedAt).not.toBeNull()
  }
}, 240_000)

const cancelIn: NodeState[] = ['requesting', 'booting', 'loading', 'ready']

test('cancel in every state leaves no process, and `cancelled` is not shown before that', async () => {
  plane = await startPlane({ scripts: { slow: { startupMs: 2_000 } } })
  for (const state of cancelIn) {
    const launch = await plane.launched('slow', { deployment: `cancel-${state}` })
    if (state === 'ready') await plane.reaches(launch.id, ['live'])
    else
      await until(
        async () => {
          const { attempts } = await plane.client.showLaunch({ params: { id: launch.id } })
          const order: NodeState[] = ['intended', 'requesting', 'booting', 'loading', 'ready']
          return order.indexOf(attempts.at(-1)?.nodeState ?? 'intended') >= order.indexOf(state)
        },
        10_000,
        () => `the node never came to ${state}`,
      )
    await plane.client.cancelLaunch({ params: { id: launch.id } })
    let shown = ''
    await until(
      async () => {
        // The world first, then what is said of it: a machine seen before must not be seen beside `cancelled`.
        const machines = await plane.machines()
        shown = (await plane.client.showLaunch({ params: { id: launch.id } })).state
        return shown === 'cancelled' && machines.size === 0
      },
      20_000,
      () => `the launch is ${shown}`,
    )
    const node = await plane.node(await plane.client.showLaunch({ params: { id: launch.id } }))
    expect(node.ledger.every(({ closedAt }) => closedAt !== null)).toBe(true)
  }
}, 120_000)

async function liveNode(): Promise<{ key: string; node: NodeDetail; launchId: string }> {
  const launch = await plane.launched('quick')
  const live = await plane.reaches(launch.id, ['live'])
  return { key: await plane.key(), node: await plane.node(live), launchId: launch.id }
}

async function processes(match: string): Promise<number[]> {
  const { readFileSync } = await import('node:fs')
  const pids = [...(await plane.machines()).values()].flat()
  return pids.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(match))
}

test('kill -9 of the agent: the engine stays, a broken stream ends as broken, and the node is back within seconds', async () => {
  plane = await startPlane({ scripts: { quick: { tokensPerS: 20 } } })
  const { key, node } = await liveNode()
  const engines = await processes('scripted-engine')
  const stream = await plane.chat('quick', key, { stream: true, max_tokens: 400 })
  const reading = stream.text().catch(() => 'cut')
  const [agent] = await processes('agent.cjs')
  if (!agent) throw new Error('no agent process was found')
  signalProcess(agent, 'SIGKILL')
  expect(await reading).not.toContain('[DONE]')
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
  for (const pid of await processes('scripted-engine')) signalProcess(pid, 'SIGKILL')
  await until(
    async () => (await processes('scripted-engine')).length === 1,
    15_000,
    () => 'no engine was started',
  )
  await until(
    async () => (await plane.chat('quick', key)).status === 200,
    15_000,
    () => 'it does not answer',
  )
  expect((await plane.client.showNode({ params: { id: node.id } })).state).toBe('ready')
}, 60_000)

test('kill -9 of the gateway: it is started again, and agents find their way to it', async () => {
  plane = await startPlane({ scripts: { quick: {} } })
  const { key } = await liveNode()
  const { readFileSync } = await import('node:fs')
  const { pid } = JSON.parse(readFileSync(`${plane.dir}/gateway/process.json`, 'utf8')) as { pid: number }
  signalProcess(pid, 'SIGKILL')
  await until(
    async () => (await plane.chat('quick', key).catch(() => null))?.status === 200,
    20_000,
    () => 'no way back',
  )
}, 60_000)

test('kill -9 of control plane, gateway, agent and engine together: after a restart the node serves or is accounted for', async () => {
  plane = await startPlane({ scripts: { quick: {} } })
  const { key } = await liveNode()
  const { readFileSync } = await import('node:fs')
  const { pid } = JSON.parse(readFileSync(`${plane.dir}/gateway/process.json`, 'utf8')) as { pid: number }
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
}, 90_000)

test('SIGSTOP of the engine: hung with its port open, it loses its traffic and is told apart from a dead one', async () => {
  plane = await startPlane({ scripts: { quick: {} }, config: {} })
  const { node } = await liveNode()
  for (const pid of await processes('scripted-engine')) signalProcess(pid, 'SIGSTOP')
  await until(
    async () => (await plane.client.showNode({ params: { id: node.id } })).verdict === 'suspect',
    75_000,
    () => 'nobody noticed that the engine hangs',
  )
  for (const pid of await processes('scripted-engine')) signalProcess(pid, 'SIGCONT')
  await until(
    async () => (await plane.client.showNode({ params: { id: node.id } })).verdict === 'healthy',
    60_000,
    () => 'it is well again',
  )
}, 150_000)
