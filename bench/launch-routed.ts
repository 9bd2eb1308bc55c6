// From SkyPilot's success to the first token: through agent and gateway, beside starting the same engine by hand with curl.
// The machine is a process of this host that runs its task; API server and engine are simulated, the rest is real.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '../src/main/ports.ts'
import { type Client, makeClient } from '../src/wire/client.ts'
import { RentedMachines } from '../test/e2e/rented-machines.ts'
import { nowMs } from './launch-plane.ts'

const root = join(import.meta.dirname, '..')
const node = [process.execPath, '--disable-warning=ExperimentalWarning']
const engine = [...node, join(root, 'test/e2e/scripted-engine.ts')]
const model = 'timed'
const source = JSON.stringify({ startupMs: 2_000 })
const rounds = 5
// As often as an impatient person's loop asks.
const askMs = 20
const giveUpMs = 60_000

interface Scene {
  readonly machines: RentedMachines
  readonly client: Client
  readonly gatewayUrl: string
  readonly key: string
}

export async function measureRouted() {
  const machines = new RentedMachines()
  const dir = mkdtempSync(join(tmpdir(), 'fd-bench-routed-'))
  const ports = { control: await freePort('127.0.0.1'), gateway: await freePort('127.0.0.1') }
  const config = configFor(await machines.start(), dir, ports)
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config))
  const args = ['up', '--data', dir, '--config', join(dir, 'config.json'), '--json']
  const [program = '', ...options] = node
  const env = { ...process.env, DATABASE_URL: '', FLIGHTDECK_LOG_LEVEL: 'error' }
  const up = spawn(program, [...options, join(root, 'src/main/cli.ts'), ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  up.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_000)
  })
  try {
    const token = await adminToken(up)
    if (token === null) throw new Error(`The control plane ended before it was ready: ${said}`)
    const client = makeClient({ url: `http://127.0.0.1:${ports.control}`, token })
    const { key } = await client.createKey({ body: { name: 'bench', models: null } })
    const scene = { machines, client, gatewayUrl: `http://127.0.0.1:${ports.gateway}`, key }
    const routed: number[] = []
    const byHand: number[] = []
    // In turn, so that both meet the same machine.
    for (let i = 0; i < rounds; i++) {
      byHand.push(await tokenByHand())
      routed.push(await tokenThroughUs(scene))
    }
    return {
      skySuccessToTokenP50Ms: median(routed),
      handSuccessToTokenP50Ms: median(byHand),
      skyAddedP50Ms: round(median(routed) - median(byHand)),
      skyAddedMaxMs: round(Math.max(...routed.map((ms, i) => ms - (byHand[i] ?? 0)))),
    }
  } finally {
    up.kill('SIGTERM')
    if (up.exitCode === null && up.signalCode === null) await once(up, 'exit')
    await machines.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

function configFor(url: string, dir: string, { control, gateway }: { control: number; gateway: number }) {
  const slurm = { onThisHost: true, regions: ['lab/main'], nodeBin: process.execPath, recipe: 'none' }
  return {
    listen: { port: control },
    gateway: { port: gateway },
    models: [{ name: model, engine: 'vllm', source }],
    local: { folder: join(dir, 'local'), engines: { vllm: { command: engine } } },
    skypilot: { url, clouds: { slurm } },
  }
}

async function adminToken(up: ChildProcess): Promise<string | null> {
  const lines = createInterface({ input: up.stdout as NodeJS.ReadableStream })
  for await (const line of lines) {
    const said = line.startsWith('{') ? (JSON.parse(line) as { event?: string; adminToken?: string }) : {}
    if (said.event === 'ready' && said.adminToken) return said.adminToken
  }
  return null
}

/** What a person does without us: the job is the engine itself; its health is asked in a loop, then one token. */
async function tokenByHand(): Promise<number> {
  const port = await freePort('127.0.0.1')
  const begun = nowMs()
  const [program = '', ...args] = [...engine, source, '--host', '127.0.0.1', '--port', String(port)]
  const child = spawn(program, [...args, '--served-model-name', model], { stdio: 'ignore' })
  const url = `http://127.0.0.1:${port}`
  await until('the engine is healthy', async () => (await fetch(`${url}/health`)).ok)
  await until('one token', () => oneToken(url, ''))
  const tookMs = nowMs() - begun
  child.kill('SIGKILL')
  await once(child, 'exit')
  return tookMs
}

/** From the job of the machine, which is SkyPilot's success, to the first token that comes through the gateway. */
async function tokenThroughUs({ machines, client, gatewayUrl, key }: Scene): Promise<number> {
  const wish = { clouds: ['slurm'], gpus: ['H100'], gpuCount: 1 }
  const before = machines.sky.machines.size
  const launch = await client.createLaunch({ body: { model, wish } })
  if ('dryRun' in launch) throw new Error('nothing was launched')
  const submitted = () => [...machines.sky.machines.values()].some(({ jobs }) => jobs.length > 0)
  await until('the job is submitted', async () => machines.sky.machines.size > before && submitted())
  const begun = nowMs()
  await until('one token', () => oneToken(gatewayUrl, key))
  const tookMs = nowMs() - begun
  await client.cancelLaunch({ params: { id: launch.id } })
  await until('it is gone', async () => machines.sky.machines.size === before)
  return tookMs
}

async function oneToken(url: string, key: string): Promise<boolean> {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], max_tokens: 1 }),
  })
  await answer.arrayBuffer()
  return answer.ok
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = nowMs() + giveUpMs; nowMs() < end; await pause(askMs)) if (await holds().catch(() => false)) return
  throw new Error(`never: ${what}`)
}

const round = (value: number): number => Number(value.toFixed(1))
function median(values: readonly number[]): number {
  return round([...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN)
}

if (import.meta.main) console.log(JSON.stringify(await measureRouted()))
