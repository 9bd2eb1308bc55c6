import type { Client } from '../wire/client.ts'
import type { LaunchView, NodeView } from '../wire/views.ts'
import { until } from './demo-world.ts'
import { quietPause } from './live-feed.ts'
import { type Fault, type FaultName, faults, type Seen, type Stage } from './rehearse-faults.ts'
import type { Load } from './rehearse-load.ts'

/** What came of one fault. Times are ms after it; null: not seen. */
export interface Aftermath {
  readonly fault: FaultName
  readonly nodes: readonly string[]
  /** Until the last of them got no requests. */
  readonly unroutableMs: number | null
  /** Until another machine was asked for, and how many were. */
  readonly replacementAskedMs: number | null
  readonly replacementsAsked: number
  /** Until as many served as before. */
  readonly servesAgainMs: number | null
  /** How many of the machines were given up. */
  readonly released: number
  /** Why the guard held, where it did. */
  readonly guard: string | null
  readonly requests: number
  readonly failedRequests: number
  readonly brokenStreams: number
  readonly costMicroUsd: number
}

export type Tell = (event: string, facts: object, text: string) => void

export interface Scene extends Stage {
  readonly client: Client
  readonly gatewayUrl: string
  readonly replicas: number
  readonly load: Load
  readonly tell: Tell
}

const lookMs = 20
// A look that finds none may come between two sockets; so long without any is none.
const noneForMs = 2_000

/**
 * When the gateway gave a node nothing any more, because it is not to or has no connection left: the first of the looks
 * that all agree.
 * @throws Error when it gives it some for as long as is waited.
 */
export async function unroutable(
  gatewayUrl: string,
  name: string,
  limitMs: number,
  signal: AbortSignal,
): Promise<number> {
  let since: number | null = null
  const until = performance.now() + limitMs
  for (; performance.now() < until && !signal.aborted; await quietPause(lookMs, signal)) {
    const page = await (await fetch(`${gatewayUrl}/metrics`, { signal })).text()
    const figure = (of: string) => Number(new RegExp(`${of}\\{node="${name}"\\} (\\d+)`).exec(page)?.[1] ?? 0)
    if (figure('spare_sockets') > 0 && figure('routable') > 0) since = null
    else since ??= performance.now()
    if (since !== null && performance.now() - since > noneForMs) return since
  }
  throw new Error(`${name} stays routable`)
}

export const serving = (nodes: readonly NodeView[]): NodeView[] =>
  nodes.filter(({ state, verdict, signals }) => {
    return state === 'ready' && verdict === 'healthy' && signals.probe.value === 'good'
  })

export const nodesOf = async (client: Client): Promise<NodeView[]> =>
  (await client.listNodes({ query: { all: true } })).items
const launchesOf = async (client: Client): Promise<LaunchView[]> => (await client.listLaunches({ query: {} })).items

export const backLimitMs = 300_000
const fleetLookMs = 250

/** One fault, from the blow until the fleet is whole again, and what is seen of it meanwhile. */
export class Storm {
  readonly #scene: Scene
  readonly #name: FaultName
  readonly #fault: Fault
  readonly #from = performance.now()
  readonly #at = Date.now()
  readonly #seen = new Map<string, string>()
  readonly #unroutableAt = new Map<string, number>()
  #struck: readonly NodeView[] = []
  #known: ReadonlySet<string> = new Set()
  #asked: LaunchView[] = []
  #guard: string | null = null
  #silentClouds = 0
  #healedAt: number | null = null
  #servesAgainAt: number | null = null

  constructor(scene: Scene, name: FaultName) {
    this.#scene = scene
    this.#name = name
    this.#fault = faults[name]
  }

  /** What came of it; `servesAgainMs` is null where the fleet was not whole again within five minutes. */
  async blow(): Promise<Aftermath> {
    const { client, load, replicas, signal } = this.#scene
    const before = (await client.spend({})).totalMicroUsd
    this.#known = new Set((await launchesOf(client)).map(({ id }) => id))
    const calm = await nodesOf(client)
    for (const node of calm) this.#isNew(node.id, wordsOf(node))
    this.#struck = serving(calm).slice(0, this.#fault.strikes(replicas))
    await this.#fault.strike(this.#struck, this.#scene)
    for (const { name } of this.#struck)
      this.#tell('struck', { fault: this.#name, node: name }, `${this.#name} befalls ${name}`)
    const watched = this.#fault.keeps ? [] : this.#struck
    const watches = watched.map((node) => this.#watch(node))
    for (const end = performance.now() + backLimitMs; performance.now() < end; ) {
      signal.throwIfAborted()
      if (this.#isOver(await this.#look())) break
    }
    // Whoever stays routable is not waited for: that is a gap in the table.
    if (this.#hasBegun) await Promise.all(watches)
    const costMicroUsd = (await client.spend({})).totalMicroUsd - before
    const { requests, failed: failedRequests, broken: brokenStreams } = load.since(this.#from)
    return { ...this.#times(), requests, failedRequests, brokenStreams, costMicroUsd }
  }

  #times() {
    const after = (at: number | null) => (at === null ? null : Math.max(0, Math.round(at - this.#from)))
    const unroutable = [...this.#unroutableAt.values()]
    const first = Math.min(...this.#asked.map(({ createdAt }) => Date.parse(createdAt)))
    const isGivenUp = ({ id }: NodeView) => /^(draining|releasing|gone)/.test(this.#seen.get(id) ?? '')
    return {
      fault: this.#name,
      nodes: this.#struck.map(({ name }) => name),
      unroutableMs: unroutable.length === 0 || !this.#hasBegun ? null : after(Math.max(...unroutable)),
      replacementAskedMs: this.#asked.length === 0 ? null : Math.max(0, first - this.#at),
      replacementsAsked: this.#asked.length,
      servesAgainMs: after(this.#servesAgainAt),
      released: this.#struck.filter(isGivenUp).length,
      guard: this.#guard,
    }
  }

  async #watch(node: NodeView): Promise<void> {
    const { gatewayUrl, signal } = this.#scene
    try {
      const at = await unroutable(gatewayUrl, node.name, backLimitMs, signal)
      this.#unroutableAt.set(node.id, at)
      const ms = Math.max(0, Math.round(at - this.#from))
      this.#tell('unroutable', { node: node.name, ms }, `${node.name} gets no requests, since ${ms} ms after that`)
    } catch (error) {
      // A rehearsal that is over or was interrupted tells so itself.
      if (!signal.aborted) this.#tell('routable', { node: node.name }, `${node.name}: ${String(error)}`)
    }
  }

  /** What is lost was replaced, or what was silent is back; as many serve as before, and nothing else is there. */
  #isOver(nodes: readonly NodeView[]): boolean {
    const isStruck = (node: NodeView) => this.#struck.some(({ id }) => id === node.id)
    const well = serving(nodes)
    const isWhole = well.length === this.#scene.replicas
    const isSettled = this.#fault.heal ? this.#healedAt !== null && this.#silentClouds === 0 : !well.some(isStruck)
    if (this.#servesAgainAt === null && isWhole && isSettled && this.#hasBegun) this.#servesAgainAt = performance.now()
    return this.#servesAgainAt !== null && nodes.filter(({ state }) => state !== 'gone').length === well.length
  }

  get #hasBegun(): boolean {
    return this.#fault.keeps === true || this.#unroutableAt.size === this.#struck.length
  }

  /** Tells what changed since the last look, and waits a moment. */
  async #look(): Promise<NodeView[]> {
    const { client, signal } = this.#scene
    // Launches first: what one of them waited for is then seen of the nodes, and told before it.
    const launches = await launchesOf(client)
    const [nodes, { guard, guardHolds, silentClouds }] = await Promise.all([nodesOf(client), client.status()])
    const fresh = nodes.filter(({ id }) => !this.#seen.has(id))
    this.#tellOf(nodes.filter((node) => !fresh.includes(node)))
    this.#asked = launches.filter(({ id }) => !this.#known.has(id))
    for (const { id } of this.#asked)
      if (this.#isNew(id, '')) this.#tell('asked', { launch: id }, `${id}: another machine is asked for`)
    this.#tellOf(fresh)
    if (guard !== null && this.#isNew('guard', guard)) this.#tell('guard', { guard }, `the guard holds: ${guard}`)
    this.#guard ??= guard
    this.#silentClouds = silentClouds.length
    const kind = guard === null ? null : (guardHolds[0]?.guard ?? null)
    const verdicts = nodes.filter(({ id }) => this.#struck.some((node) => node.id === id)).map(({ verdict }) => verdict)
    this.#healOnce({ guard: kind, asked: this.#asked.length, silentClouds: this.#silentClouds, verdicts })
    await quietPause(fleetLookMs, signal)
    return nodes
  }

  #tellOf(nodes: readonly NodeView[]): void {
    for (const node of nodes)
      if (this.#isNew(node.id, wordsOf(node)))
        this.#tell('node', { node: node.name, state: node.state, verdict: node.verdict }, wordsFor(node))
  }

  #healOnce(seen: Seen): void {
    const { heal } = this.#fault
    if (!heal?.when(seen) || this.#healedAt !== null || !this.#hasBegun) return
    this.#healedAt = performance.now()
    heal.end?.(this.#struck, this.#scene)
    this.#tell('healed', { nodes: this.#struck.map(({ name }) => name) }, `${this.#name} is over`)
  }

  #isNew(id: string, words: string): boolean {
    const before = this.#seen.get(id)
    this.#seen.set(id, words)
    return before !== words
  }

  #tell(event: string, facts: object, text: string): void {
    const afterMs = Math.round(performance.now() - this.#from)
    this.#scene.tell(event, { afterMs, ...facts }, `  +${(afterMs / 1_000).toFixed(1).padStart(5)}s  ${text}`)
  }
}

const wordsOf = ({ state, verdict }: NodeView): string => `${state} ${verdict}`
const wordsFor = ({ name, state, verdict }: NodeView): string => `${name} is ${state} (${verdict})`

/** Waits until as many serve as are wanted. */
export const untilServing = (client: Client, replicas: number, limitMs: number, signal: AbortSignal): Promise<true> =>
  until(`${replicas} replicas serving`, limitMs, signal, async () =>
    serving(await nodesOf(client)).length === replicas ? true : null,
  )
