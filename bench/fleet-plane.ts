// A control plane of its own with a fleet that lives: the plane is the real one, its machines and their agents are not there.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { agentProtocol } from '../src/core/agent-protocol.ts'
import type { Heartbeat } from '../src/wire/agent.ts'
import { type Client, makeClient } from '../src/wire/client.ts'
import type { Told } from './launch-plane.ts'

const incarnation = 'incarnation-of-the-bench'

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
  readonly #beating = new Set<Promise<void>>()
  #ended = false

  constructor(url: string, count: number, everyMs: number) {
    this.#url = url
    for (let i = 1; i <= count; i++) this.#begin(`fd_node_no-b${i}.bench`, Math.random() * everyMs)
  }

  /** After the beats that are under way. */
  async end(): Promise<void> {
    this.#ended = true
    for (const timer of this.#timers) clearTimeout(timer)
    await Promise.all(this.#beating)
    for (const agent of this.#agents) agent.destroy()
  }

  #begin(credential: string, afterMs: number): void {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, keepAliveMsecs: 30_000 })
    this.#agents.push(agent)
    const next = (ms: number) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        const beating = this.#beat(credential, agent).then((everyMs) => {
          this.#beating.delete(beating)
          if (!this.#ended) next(everyMs)
        })
        this.#beating.add(beating)
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

export interface FleetPlane {
  readonly url: string
  readonly adminToken: string
  readonly client: Client
  readonly child: ChildProcess
  readonly dir: string
  readonly took: readonly number[]
  readonly wrong: readonly string[]
  end(): Promise<void>
}

/**
 * `launches`: how many may be asked for in half a minute. The first node comes as any does and is multiplied; from then on each
 * beats every ten seconds, as the reply tells it, unless all are `silent`.
 */
export async function startFleetPlane(nodes: number, launches = 1, silent = false): Promise<FleetPlane> {
  const dir = mkdtempSync(join(tmpdir(), 'fd-bench-fleet-'))
  const child = fork(join(import.meta.dirname, 'launch-plane.ts'), [dir, String(launches)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  let fleet: Fleet | null = null
  const end = async () => {
    await fleet?.end()
    child.disconnect()
    if (child.exitCode === null) await once(child, 'exit')
    rmSync(dir, { recursive: true, force: true })
  }
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
    fleet = new Fleet(url, silent ? 0 : nodes, 10_000)
    const { took, wrong } = fleet
    return { url, adminToken, client, child, dir, took, wrong, end }
  } catch (error) {
    await end()
    throw error
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
