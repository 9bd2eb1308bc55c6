// `npm run bench:fleet [-- --nodes=100,1000,10000]`: what a fleet that only lives costs its control plane. Each node is a
// connection of its own with a heartbeat each ten seconds, as the reply tells it; the cloud lists all of them each minute.
// API, intake, loops and the embedded PostgreSQL are the real ones; machines, their agents and the cloud are simulated.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { agentProtocol } from '../src/core/agent-protocol.ts'
import type { Heartbeat } from '../src/wire/agent.ts'
import { makeClient } from '../src/wire/client.ts'
import { databaseCpuMs, databaseProcesses } from './database-cpu.ts'
import type { Told } from './launch-plane.ts'

const sizes = (process.argv.find((argument) => argument.startsWith('--nodes='))?.slice(8) ?? '100,1000,10000')
  .split(',')
  .map(Number)
const settleMs = 40_000
const measureMs = 60_000
const incarnation = 'incarnation-of-the-bench'
const bars = { cores: 1, rssMib: 1_024 }

const hardware = { hostname: 'bench', cpus: 8, memoryMib: 65_536, gpus: [], instanceType: null }

/** What an agent says each time; engine and load stand still. */
const beat = JSON.stringify({
  protocol: agentProtocol,
  incarnation,
  previous: null,
  agentVersion: '0.1.0',
  engine: { state: 'serving', version: '0.32.0', restarts: 0, failure: null },
  load: { inFlight: 0, busyMs: 0, requests: 0, spareSockets: 1 },
  gpus: [],
  draining: false,
  drained: false,
})

class Fleet {
  readonly took: number[] = []
  readonly wrong: string[] = []
  readonly #url: string
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #agents: Agent[] = []
  #ended = false

  constructor(url: string, count: number, everyMs: number) {
    this.#url = url
    for (let i = 1; i <= count; i++) this.#begin(`fd_node_no-b${i}.bench`, Math.random() * everyMs)
  }

  end(): void {
    this.#ended = true
    for (const timer of this.#timers) clearTimeout(timer)
    for (const agent of this.#agents) agent.destroy()
  }

  #begin(credential: string, afterMs: number): void {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, keepAliveMsecs: 30_000 })
    this.#agents.push(agent)
    const next = (ms: number) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        void this.#beat(credential, agent).then((everyMs) => !this.#ended && next(everyMs))
      }, ms)
      this.#timers.add(timer)
    }
    next(afterMs)
  }

  /** Resolves with when the next one is due. */
  async #beat(credential: string, agent: Agent): Promise<number> {
    const at = performance.now()
    const headers = {
      authorization: `Bearer ${credential}`,
      'content-type': 'application/json',
      'content-length': beat.length,
    }
    const reply = await new Promise<{ status: number; text: string }>((resolve) => {
      const sent = request(`${this.#url}/agent/heartbeat`, { method: 'POST', agent, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (piece: string) => {
          text += piece
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      })
      sent.on('error', (error) => resolve({ status: 0, text: error.message }))
      sent.end(beat)
    })
    this.took.push(performance.now() - at)
    if (reply.status === 200) return (JSON.parse(reply.text) as { heartbeatMs: number }).heartbeatMs
    this.wrong.push(`${reply.status} ${reply.text.slice(0, 200)}`)
    return 10_000
  }
}

async function measure(nodes: number) {
  const dir = mkdtempSync(join(tmpdir(), 'fd-bench-fleet-'))
  const child = fork(join(import.meta.dirname, 'launch-plane.ts'), [dir, '1'], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  let fleet: Fleet | null = null
  try {
    const { url, adminToken } = await told(child, 'ready')
    const asked = told(child, 'asked')
    const client = makeClient({ url, token: adminToken })
    const launch = await client.createLaunch({ body: { model: 'sim-small' } })
    if ('dryRun' in launch) throw new Error('nothing was launched')
    await live(url, (await asked).joinToken)
    await until('the pattern serves', async () => {
      const { items } = await client.listNodes({ query: {} })
      return items[0]?.state === 'ready' && items[0].verdict === 'healthy'
    })
    child.send({ multiply: nodes })
    await told(child, 'multiplied')
    fleet = new Fleet(url, nodes, 10_000)
    await pause(settleMs)
    const [cpu, at, beats] = [cpuMs(child.pid, dir), performance.now(), fleet.took.length]
    await pause(measureMs)
    const seconds = (performance.now() - at) / 1_000
    const cores = (cpuMs(child.pid, dir) - cpu) / 1_000 / seconds
    const took = fleet.took.slice(beats).sort((a, b) => a - b)
    const { items } = await client.listNodes({ query: { limit: 500 } })
    const well = items.filter(({ state, verdict }) => state === 'ready' && verdict === 'healthy').length
    for (const wrong of new Set(fleet.wrong)) console.log(`  ${wrong}`)
    return {
      nodes,
      cores: Number(cores.toFixed(3)),
      rssMib: Math.round(
        [child.pid ?? 0, ...databaseProcesses(dir).map(({ pid }) => pid)].reduce((sum, pid) => sum + pssMib(pid), 0),
      ),
      beatsPerS: Math.round(took.length / seconds),
      beatP50Ms: round(took[Math.floor(took.length * 0.5)]),
      beatP99Ms: round(took[Math.floor(took.length * 0.99)]),
      failedBeats: fleet.wrong.length,
      wellOfPage: Number((well / items.length).toFixed(3)),
    }
  } finally {
    fleet?.end()
    child.disconnect()
    if (child.exitCode === null) await once(child, 'exit')
    rmSync(dir, { recursive: true, force: true })
  }
}

/** The life of the pattern as control hears of it: it joins, and its engine answers. */
async function live(url: string, joinToken: string): Promise<void> {
  const joining = makeClient({ url, token: joinToken })
  const { credential } = await joining.join({
    body: { instance: 'instance-of-the-bench', incarnation, agentVersion: '0', hardware: { ...hardware, gpus: [] } },
  })
  const report = { incarnation, previous: null, phases: [], lines: [], answeredAgoMs: 0, failure: null }
  const agent = makeClient({ url, token: credential })
  await agent.progress({ body: report })
  await agent.heartbeat({ body: JSON.parse(beat) as Heartbeat })
}

async function told<K extends Told['kind']>(
  child: ReturnType<typeof fork>,
  kind: K,
): Promise<Extract<Told, { kind: K }>> {
  const ended = new AbortController()
  child.once('exit', () => ended.abort(new Error('the control plane ended')))
  for (;;) {
    const [message] = (await once(child, 'message', { signal: ended.signal })) as [Told]
    if (message.kind === kind) return message as Extract<Told, { kind: K }>
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; performance.now() < end; await pause(100)) if (await holds()) return
  throw new Error(`never: ${what}`)
}

function cpuMs(pid: number | undefined, dir: string): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const [, , ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return 10 * (Number(rest[9]) + Number(rest[10])) + databaseCpuMs(dir)
}

/** Memory that is shared counts once. */
function pssMib(pid: number): number {
  try {
    const found = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))
    return Number(found?.[1] ?? 0) / 1_024
  } catch {
    // A connection of the database that has just ended.
    return 0
  }
}

const round = (ms: number | undefined): number => Number((ms ?? Number.NaN).toFixed(1))

const all = []
for (const nodes of sizes) {
  const figures = await measure(nodes)
  console.log(JSON.stringify(figures))
  all.push(figures)
}
const largest = all.at(-1)
const missed = (Object.keys(bars) as (keyof typeof bars)[]).filter(
  (name) => (largest?.[name] ?? Number.NaN) > bars[name],
)
console.log(JSON.stringify({ bench: 'fleet', ...largest, sizes: all, met: missed.length === 0, missed }))
if (missed.length > 0) process.exitCode = 1
