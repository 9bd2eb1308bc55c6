// From an engine that answers its health check to the first request that it is given: real processes from end to end.
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { type ControlPlane, makeWorld } from '../src/cli/demo-world.ts'
import { machineProcesses } from '../src/clouds/local/processes.ts'
import { type Client, makeClient } from '../src/wire/client.ts'

const rounds = 10
const model = 'first'
const everyMs = 10
const giveUpMs = 60_000
const simulation = { startupMs: 1_000, ttftMs: 1, tokensPerS: 1_000, replyTokens: 1 }
const config = {
  listen: { port: 0 },
  gateway: { port: 0 },
  local: { maxMachines: rounds + 2, engines: { sim: { env: { FLIGHTDECK_SIM: JSON.stringify(simulation) } } } },
  models: [{ name: model, engine: 'sim', source: model }],
}

interface Scene {
  readonly plane: ControlPlane
  readonly client: Client
  readonly key: string
}

/** Control plane, gateway, agents and (simulated) engines as on any machine; what is measured is seen from outside. */
export async function measureFirstRequests() {
  const world = makeWorld(config, AbortSignal.timeout(600_000))
  let install: string | null = null
  try {
    const plane = await world.start()
    install = plane.install
    const client = makeClient({ url: plane.url, token: plane.adminToken })
    const { key } = await client.createKey({ body: { name: 'bench' } })
    const waits: number[] = []
    for (let round = 0; round < rounds; round++) waits.push(await healthToRequest({ plane, client, key }))
    waits.sort((a, b) => a - b)
    return {
      healthToFirstRequestP50Ms: Math.round(waits[rounds >> 1] ?? Number.NaN),
      healthToFirstRequestMaxMs: Math.round(waits.at(-1) ?? Number.NaN),
    }
  } finally {
    await world.stop(install)
    world.remove()
  }
}

async function healthToRequest(scene: Scene): Promise<number> {
  const { client, plane } = scene
  const before = new Set(await machinesOf(plane.install))
  const launch = await client.createLaunch({ body: { model } })
  if ('dryRun' in launch) throw new Error('nothing was launched')
  const answers = moment('a request is answered', async () => (await ask(scene)) === 200)
  const port = await enginePort(plane.install, before)
  const healthyAt = await moment('the engine is healthy', async () => (await statusOf(`${port}/health`)) === 200)
  const answeredAt = await answers
  const { nodeId } = await client.showLaunch({ params: { id: launch.id } })
  await client.releaseNode({ params: { id: nodeId ?? '' } })
  // The next round must not be served by the node of this one.
  await moment('nobody serves the model', async () => (await ask(scene)) !== 200)
  return answeredAt - healthyAt
}

/** When it first held, looked at every few ms. */
async function moment(what: string, holds: () => Promise<boolean>): Promise<number> {
  for (const from = performance.now(); performance.now() - from < giveUpMs; await pause(everyMs))
    if (await holds()) return performance.now()
  throw new Error(`within ${giveUpMs} ms this did not come true: ${what}`)
}

async function ask({ plane, key }: Scene): Promise<number> {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], max_tokens: 1 })
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  return statusOf(`${plane.gatewayUrl}/v1/chat/completions`, { method: 'POST', headers, body })
}

const statusOf = (url: string, init?: RequestInit): Promise<number> =>
  fetch(url, init).then(
    async (reply) => {
      await reply.arrayBuffer()
      return reply.status
    },
    // Nobody listens yet.
    () => 0,
  )

const machinesOf = async (install: string): Promise<string[]> =>
  (await machineProcesses(`fd-${install}-`)).map(({ machine }) => machine)

/** The address of the engine of the one machine that is new, as its arguments have it. */
async function enginePort(install: string, before: ReadonlySet<string>): Promise<string> {
  for (const from = performance.now(); performance.now() - from < giveUpMs; await pause(everyMs)) {
    const fresh = (await machineProcesses(`fd-${install}-`)).filter(({ machine }) => !before.has(machine))
    const words = fresh.map(({ pid }) => commandOf(pid)).find((argv) => argv.includes('engine-sim')) ?? ''
    const port = /--port\0(\d+)/.exec(words)?.[1]
    if (port) return `http://127.0.0.1:${port}`
  }
  throw new Error('no engine was started')
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    // It ended while we looked.
    return ''
  }
}
