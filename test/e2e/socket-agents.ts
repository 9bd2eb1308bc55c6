import { parse } from 'yaml'
import { agentProtocol } from '../../src/core/agent-protocol.ts'
import { FakeNode, wellEngine } from '../../src/gateway/fake-node.ts'
import type { SimSkyPilot } from '../../src/sim/skypilot.ts'
import { type Client, makeClient } from '../../src/wire/client.ts'
import type { Plane } from './plane.ts'

const incarnation = 'incarnation-of-a-socket-agent'
const idle = { utilizationPercent: 0, memoryUsedMib: 4, temperatureC: 30 }
const gpu = { index: 0, uuid: 'GPU-0', name: 'NVIDIA H100 80GB HBM3', memoryMib: 81_559, ...idle }
const hardware = { hostname: 'nowhere', cpus: 8, memoryMib: 65_536, gpus: [gpu], instanceType: null }
const who = { protocol: agentProtocol, incarnation, previous: null }
const beatMs = 2_000

/** An agent without a machine: it speaks to the control plane and lends sockets to the gateway as any, and answers at once. */
class SocketAgent {
  readonly #client: Client
  readonly #dial: () => FakeNode
  #node: FakeNode | null = null
  #timer: NodeJS.Timeout | null = null

  constructor({ url, gatewayPort }: Plane, credential: string, model: string) {
    this.#client = makeClient({ url, token: credential })
    const script = wellEngine(model, ({ socket }) => socket.destroy())
    this.#dial = () => new FakeNode(gatewayPort, credential, script, incarnation)
  }

  async begin(): Promise<void> {
    await this.#client.progress({ body: { ...who, phases: [], lines: [], answeredAgoMs: 0, failure: null } })
    this.speak()
  }

  speak(): void {
    this.#node = this.#dial()
    this.#timer = setInterval(() => void this.#beat(), beatMs)
    void this.#beat()
  }

  /** As when its network is cut: no word, and no connection. */
  fallSilent(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#node?.close()
    this.#node = null
  }

  async #beat(): Promise<void> {
    const node = this.#node
    const engine = { state: 'serving' as const, version: '0.32.0', restarts: 0, failure: null }
    const load = { inFlight: 0, busyMs: 0, requests: 0, spareSockets: node?.sockets.size ?? 0 }
    const beat = {
      ...who,
      agentVersion: '0.1.0',
      engine,
      load,
      gpus: [],
      gpuFaults: [],
      draining: false,
      drained: false,
    }
    // What is lost is said again with the next one, as by any agent; so is a gateway that does not know it yet.
    await this.#client.heartbeat({ body: beat }).catch(() => undefined)
    if (node && node.sockets.size === 0) await node.dial().catch(() => undefined)
  }
}

/** The agents of all machines that an API server was asked for. */
export class SocketAgents {
  readonly agents = new Map<string, SocketAgent>()
  readonly #plane: Plane
  readonly #model: string

  constructor(plane: Plane, model: string) {
    this.#plane = plane
    this.#model = model
  }

  /** Those of the machines that are up join. */
  async join({ posted, machines }: SimSkyPilot): Promise<void> {
    const up = posted.filter(({ cluster_name: name }) => (machines.get(String(name))?.jobs ?? []).length > 0)
    await Promise.all(up.map(({ cluster_name: name, task }) => this.#begin(String(name), String(task))))
  }

  end(): void {
    for (const agent of this.agents.values()) agent.fallSilent()
  }

  async #begin(name: string, task: string): Promise<void> {
    if (this.agents.has(name)) return
    const { secrets } = parse(task) as { secrets: { FD_JOIN_TOKEN: string } }
    const joining = makeClient({ url: this.#plane.url, token: secrets.FD_JOIN_TOKEN })
    const body = {
      protocol: agentProtocol,
      instance: `instance-of-${name}`,
      incarnation,
      agentVersion: '0.1.0',
      hardware,
    }
    const { credential } = await joining.join({ body })
    const agent = new SocketAgent(this.#plane, credential, this.#model)
    this.agents.set(name, agent)
    await agent.begin()
  }
}
