// `npm run bench:failover`: two replicas under load; one machine is reclaimed, one is killed, and one loses its power, which
// closes none of its connections.
// Control plane, gateway, agents and machines are real processes of this host; the API server of the cloud, its metadata
// service and the engines are simulated.
import { setTimeout as pause } from 'node:timers/promises'
import { type ControlPlane, makeWorld } from '../src/cli/demo-world.ts'
import { killMachine, vanishMachines } from '../src/cli/rehearse-faults.ts'
import { Load } from '../src/cli/rehearse-load.ts'
import { serving as servingOf, unroutable } from '../src/cli/rehearse-storm.ts'
import { FakeAwsMetadata } from '../src/sim/metadata.ts'
import { type Client, makeClient } from '../src/wire/client.ts'
import type { NodeView } from '../src/wire/views.ts'
import { RentedMachines } from '../test/e2e/rented-machines.ts'

const root = new URL('..', import.meta.url).pathname
const engine = [process.execPath, '--disable-warning=ExperimentalWarning', `${root}test/e2e/scripted-engine.ts`]
const model = 'failover'
const source = JSON.stringify({ startupMs: 2_000, ttftMs: 100, tokensPerS: 40 })
const lookMs = 10
const giveUpMs = 180_000
const never = new AbortController().signal
/** The bars: no request may be lost to a notice, and these in ms. */
const bars = {
  noticeToUnroutableMs: 1_000,
  deadToUnroutableMs: 5_000,
  replacementAskedMs: 60_000,
  vanishedToUnroutableMs: 5_000,
  vanishedReplacementAskedMs: 60_000,
}

interface Scene {
  readonly plane: ControlPlane
  readonly client: Client
  readonly machines: RentedMachines
  readonly services: readonly FakeAwsMetadata[]
}

async function measure() {
  const machines = new RentedMachines()
  const services: FakeAwsMetadata[] = []
  for (let i = 0; i < 4; i++) services.push(await new FakeAwsMetadata().listen())
  machines.metadata.push(...services)
  const url = await machines.start()
  machines.sky.faults.infra = ['aws']
  const config = {
    listen: { port: 0 },
    gateway: { port: 0 },
    models: [{ name: model, engine: 'vllm', source }],
    local: { engines: { vllm: { command: engine } } },
    skypilot: { url, clouds: { aws: { nodeBin: process.execPath, onThisHost: true, recipe: 'none' } } },
  }
  const world = makeWorld(config, AbortSignal.timeout(900_000))
  let install: string | null = null
  try {
    const plane = await world.start()
    install = plane.install
    const client = makeClient({ url: plane.url, token: plane.adminToken })
    return await failover({ plane, client, machines, services })
  } finally {
    await world.stop(install)
    world.remove()
    await machines.stop()
    for (const service of services) await service.close()
  }
}

async function failover(scene: Scene) {
  const { plane, client } = scene
  const wish = { clouds: ['aws'], gpus: ['H100'], gpuCount: 1, spot: 'only' as const }
  await client.createDeployment({ body: { name: model, model, wish, wanted: 2 } })
  const { key } = await client.createKey({ body: { name: 'bench', models: null } })
  await until('two replicas serve', async () => (await serving(client)).length === 2)
  const load = new Load({ url: plane.gatewayUrl, key, model }, { plain: 12, streams: 8 }, never)
  await until('the load is served', async () => load.done > 100)
  const notice = await reclaimed(scene, load)
  const killed = await lost(scene, load, ({ name }) => killMachine(name))
  await until('two replicas serve once more', async () => (await serving(client)).length === 2)
  const vanished = await lost(scene, load, (node) => vanishMachines([node]))
  await load.stop()
  return {
    ...notice,
    deadToUnroutableMs: killed.toUnroutableMs,
    replacementAskedMs: killed.replacementAskedMs,
    deadFailedRequests: killed.failed,
    deadBrokenStreams: killed.broken,
    vanishedToUnroutableMs: vanished.toUnroutableMs,
    vanishedReplacementAskedMs: vanished.replacementAskedMs,
    vanishedFailedRequests: vanished.failed,
    vanishedBrokenStreams: vanished.broken,
    requests: load.plain.length,
    streams: load.streams.length,
  }
}

/** EC2 takes the machine of the first replica back. */
async function reclaimed({ plane, client, services, machines }: Scene, load: Load) {
  const [node] = await serving(client)
  const service = services[machines.rented.findIndex(({ name }) => name === node?.name)]
  if (!node || !service) throw new Error('no machine can be reclaimed')
  const from = performance.now()
  const asked = () => service.asked.filter((line) => line.endsWith('/spot/instance-action')).length
  const before = asked()
  service.action = { action: 'terminate', time: new Date(Date.now() + 120_000).toISOString() }
  await until('the agent looks', async () => asked() > before)
  const seenAt = performance.now()
  const unroutableAt = await unroutable(plane.gatewayUrl, node.name, giveUpMs, never)
  await until(
    'it has drained',
    async () =>
      !['ready', 'draining'].includes((await state(client, node.id)) ?? '') || (await drained(client, node.id)),
  )
  await until('two replicas serve again', async () => (await serving(client)).length === 2)
  const { failed, broken } = lostSince(load, from)
  return {
    noticeFailedRequests: failed,
    noticeBrokenStreams: broken,
    noticeToUnroutableMs: Math.max(0, Math.round(unroutableAt - seenAt)),
  }
}

/** A machine is lost, and its cloud says nothing of it. */
async function lost({ plane, client }: Scene, load: Load, strike: (node: NodeView) => void) {
  const node = (await serving(client)).at(-1)
  if (!node) throw new Error('no machine can be lost')
  const known = new Set((await client.listLaunches({ query: {} })).items.map(({ id }) => id))
  const [from, at] = [performance.now(), Date.now()]
  strike(node)
  const unroutableAt = await unroutable(plane.gatewayUrl, node.name, giveUpMs, never)
  const fresh = async () => (await client.listLaunches({ query: {} })).items.find(({ id }) => !known.has(id))
  await until('a replacement is asked for', async () => (await fresh()) !== undefined)
  const createdAt = Date.parse((await fresh())?.createdAt ?? '')
  // Streams that had begun there end a while after it has stopped.
  await until('nothing of it is in flight', async () => (await inFlight(plane, node.name)) === 0)
  const { failed, broken } = lostSince(load, from)
  const toUnroutableMs = Math.round(unroutableAt - from)
  return { toUnroutableMs, replacementAskedMs: createdAt - at, failed, broken }
}

async function inFlight({ gatewayUrl }: ControlPlane, name: string): Promise<number> {
  const page = await (await fetch(`${gatewayUrl}/metrics`)).text()
  return Number(new RegExp(`in_flight\\{node="${name}"\\} (\\d+)`).exec(page)?.[1] ?? 0)
}

/** Each kind of failure is printed once. */
function lostSince(load: Load, from: number) {
  const since = load.since(from)
  for (const why of since.why) console.log(`  lost: ${why}`)
  return since
}

const serving = async (client: Client): Promise<NodeView[]> => servingOf((await client.listNodes({ query: {} })).items)
const state = async (client: Client, id: string) => (await client.showNode({ params: { id } })).state
const drained = async (client: Client, id: string) =>
  (await client.showNode({ params: { id } })).timeline.some(({ kind }) => kind === 'node.drained')

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + giveUpMs; performance.now() < end; await pause(lookMs)) if (await holds()) return
  throw new Error(`never: ${what}`)
}

const figures = await measure()
for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(24)} ${value}`)
const losses = ['noticeFailedRequests', 'noticeBrokenStreams', 'deadFailedRequests', 'vanishedFailedRequests'] as const
const lossesMissed = losses.filter((name) => figures[name] > 0)
const late = (Object.keys(bars) as (keyof typeof bars)[]).filter((name) => figures[name] > bars[name])
const missed = [...lossesMissed, ...late]
console.log(JSON.stringify({ bench: 'failover', ...figures, met: missed.length === 0, missed }))
if (missed.length > 0) process.exitCode = 1
