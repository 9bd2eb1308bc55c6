import { agentProtocol } from '../src/core/agent-protocol.ts'
import { Failure, type FailureRecord } from '../src/core/failure.ts'
import type { Announcement } from '../src/core/notice.ts'
import { type Heartbeats, makeHeartbeats } from '../src/intake/heartbeat.ts'
import { makeJoins } from '../src/intake/join.ts'
import { makeNoticeIntake } from '../src/intake/notice.ts'
import { makeProgressIntake } from '../src/intake/progress.ts'
import { nudge } from '../src/store/claims.ts'
import { saveDrained } from '../src/store/heard.ts'
import { nodeIdOfToken } from '../src/store/join-token.ts'
import type { TestDeps } from '../src/store/world-for-tests.ts'
import type { Heartbeat } from '../src/wire/agent.ts'

/** Machines as their agents stand on them; `bootsAt` null: nothing is ever heard from it. */
export interface Machines {
  readonly machines: ReadonlyMap<string, { readonly name: string; readonly bootsAt: number | null }>
  booted(): readonly { readonly name: string; readonly joinToken: string }[]
}

interface Agent {
  readonly credential: string
  readonly joinedAt: number
  answered: boolean
  told: Announcement | null
}

const hardware = { hostname: 'sim', cpus: 4, memoryMib: 16_384, gpus: [], instanceType: null }
const incarnation = 'incarnation-1'
const who = { protocol: agentProtocol, incarnation, previous: null }
const loadMs = 300
const idle = {
  agentVersion: '0',
  engine: { state: 'serving', version: null, restarts: 0, failure: null },
  load: { inFlight: 0, busyMs: 0, requests: 0, spareSockets: 1, waiting: null, kvPercent: null },
  gpus: [],
  gpuFaults: [],
} as const satisfies Partial<Heartbeat>

/** The agents of all machines that have booted; what they say goes through intake, as it would from a real machine. */
export class SimAgents {
  /** Machines boot and stay silent: their agents cannot reach us. */
  silent = false
  /** What every engine fails with instead of answering. */
  failure: FailureRecord | null = null
  /** What the cloud announces to every machine; each agent tells when it changes. */
  notice: Announcement | null = null
  /** The same for one machine, by its name. */
  readonly notices = new Map<string, Announcement>()
  /** Machines that nothing from outside reaches, and that reach nobody. */
  readonly cutOff = new Set<string>()
  readonly #deps: TestDeps
  readonly #cloud: Machines
  readonly #agents = new Map<string, Agent>()
  readonly #dismissed = new Set<string>()
  readonly #heartbeats: Heartbeats

  constructor(deps: TestDeps, cloud: Machines) {
    this.#deps = deps
    this.#heartbeats = makeHeartbeats(deps)
    this.#cloud = cloud
  }

  /** Each agent takes its next step: it joins, and a while later its engine answers. */
  async speak(): Promise<void> {
    if (this.silent) return
    for (const machine of this.#cloud.booted()) {
      if (
        this.#dismissed.has(machine.name) ||
        this.cutOff.has(machine.name) ||
        nodeIdOfToken(machine.joinToken) === null
      )
        continue
      await this.#step(machine).catch((error) => {
        // Released: a real agent would end itself; this one leaves that to the cloud, which is harder on the loops.
        if (!(error instanceof Failure)) throw error
        this.#dismissed.add(machine.name)
      })
    }
  }

  /** When somebody has something to say next, by the clock that nobody sets. */
  nextAt(): number[] {
    if (this.silent) return []
    return [...this.#cloud.machines.values()].flatMap(({ name, bootsAt }) => {
      if (bootsAt === null || this.#dismissed.has(name) || this.cutOff.has(name)) return []
      const agent = this.#agents.get(name)
      if (!agent) return [bootsAt]
      return agent.answered ? [] : [agent.joinedAt + loadMs]
    })
  }

  /** What the agents would say with their heartbeats now: each word comes when it is called for, as often as it is. */
  words(draining: ReadonlySet<string>): (() => Promise<void>)[] {
    return [...this.#agents].map(([name, { credential }]) => {
      const isDraining = draining.has(name)
      const word = { ...who, ...idle, draining: isDraining, drained: isDraining }
      return () =>
        this.#heartbeats.take(credential, word, '10.0.0.9').then(
          () => undefined,
          (error) => {
            if (!(error instanceof Failure)) throw error
          },
        )
    })
  }

  async #step({ name, joinToken }: { readonly name: string; readonly joinToken: string }): Promise<void> {
    const now = this.#deps.clock.monotonicMs()
    const agent = this.#agents.get(name)
    const notice = this.notices.get(name) ?? this.notice
    if (!agent) {
      const request = { protocol: agentProtocol, instance: 'instance-1', incarnation, agentVersion: '0', hardware }
      const { credential } = await makeJoins(this.#deps).join(joinToken, request, '10.0.0.9')
      this.#agents.set(name, { credential, joinedAt: now, answered: false, told: null })
    } else if (!agent.answered && now >= agent.joinedAt + loadMs) {
      agent.answered = true
      const { failure } = this
      const answeredAgoMs = failure === null ? 0 : null
      const report = { ...who, phases: [], lines: [], answeredAgoMs, failure }
      await makeProgressIntake(this.#deps).take(agent.credential, report, '10.0.0.9')
    } else if (agent.told !== notice) {
      agent.told = notice
      const word = { ...who, serviceAnswers: true, notice }
      await makeNoticeIntake(this.#deps).take(agent.credential, word, '10.0.0.9')
    } else if (agent.answered) {
      await this.#drain(nodeIdOfToken(joinToken) ?? '')
    }
  }

  /** Nothing is ever in flight here, so a node that is told to drain has drained. */
  async #drain(nodeId: string): Promise<void> {
    const { store, clock } = this.#deps
    if (await saveDrained(store.db, nodeId, clock.now())) await nudge(store.db, 'node', [nodeId], clock.now())
  }
}
