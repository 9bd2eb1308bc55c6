import { enginePresets } from '../core/engine-presets.ts'
import { isBroken } from '../core/gpu-fault.ts'
import { endsMachine } from '../core/notice.ts'
import { orderOf } from '../core/orders.ts'
import { isRoutable } from '../core/verdict-table.ts'
import { canonicalJson } from '../lib/canonical.ts'
import { sha256 } from '../lib/chance.ts'
import { loadRoutes, type RoutableNode, type RoutingRows } from '../store/routing.ts'
import { playgroundKeyId, type RoutedNode, type RoutingTable } from '../wire/gateway.ts'
import type { IntakeDeps } from './context.ts'
import { directTokenOf } from './direct.ts'
import { playgroundKeyOf } from './playground.ts'

/** What gateways route by. Its version says what is in it, so equal tables of two servers have equal versions. */
export function tableOf({ install, nodes, models, keys }: RoutingRows, way: Way): RoutingTable {
  const content = {
    install,
    nodes: nodes.map((node) => routedNode(node, way)),
    models: models.map(({ id, createdAt }) => ({ id, created: Math.floor(createdAt / 1000), ownedBy: 'flightdeck' })),
    keys: [
      ...keys.map(({ id, hash, models: may }) => ({ id, hash, models: may })),
      { id: playgroundKeyId, hash: sha256(playgroundKeyOf(way.vault)), models: null },
    ],
    authority: way.direct?.authority ?? null,
  }
  return { version: sha256(canonicalJson(content)).slice(0, 16), ...content }
}

type Way = Pick<IntakeDeps, 'vault' | 'direct'>

function routedNode(node: RoutableNode, way: Way): RoutedNode {
  return {
    id: node.id,
    name: node.name,
    credentialHash: node.credentialHash,
    incarnation: node.incarnation,
    servedName: node.model,
    healthPath: enginePresets[node.engine].healthPath,
    routable: isRoutableNode(node),
    // The deadline is not in the table, so the moment that it is looked at does not matter.
    order: orderOf(node, 0).order,
    direct: directlyTo(node, way),
  }
}

const isRoutableNode = ({ state, verdict, notice, gpuFaults }: RoutableNode): boolean =>
  state === 'ready' && isRoutable(verdict) && !endsMachine(notice) && !isBroken(gpuFaults)

function directlyTo(node: RoutableNode, { vault, direct }: Way): RoutedNode['direct'] {
  const { id, cloud, joinInstance, directAddress } = node
  if (directAddress === null || joinInstance === null || (direct?.portOf(cloud) ?? null) === null) return null
  return { address: directAddress, token: directTokenOf(vault, id, joinInstance) }
}

export interface RouteTables {
  current(): Promise<RoutingTable>
  /** The table once its version is another one, or null when the wait is over before. */
  waitAfter(version: string | undefined, waitMs: number, signal?: AbortSignal): Promise<RoutingTable | null>
  /** To be told every topic that the store tells of. */
  hear(topic: string): void
  close(): void
}

// Many rows change together when a launch or a fleet moves; one table for all of them.
const coalesceMs = 20
const retryMs = 1_000

const isAboutRoutes = (topic: string): boolean =>
  topic === 'routes' || topic === 'gap' || topic.startsWith('deployment:')

/** Keeps the routing table at hand and makes it anew when something in it may have changed. */
export function makeRouteTables(
  deps: Pick<IntakeDeps, 'store' | 'vault' | 'direct'>,
  onError: (error: unknown) => void,
): RouteTables {
  let table: RoutingTable | undefined
  let first: Promise<RoutingTable> | undefined
  let closed = false
  const waiting = new Set<() => void>()

  const load = async (): Promise<RoutingTable> => {
    const fresh = tableOf(await loadRoutes(deps.store.db), deps)
    const changed = fresh.version !== table?.version
    table = fresh
    if (changed) for (const wake of [...waiting]) wake()
    return fresh
  }
  const refresher = makeRefresher(load, onError)
  const current = (): Promise<RoutingTable> => {
    if (table) return Promise.resolve(table)
    first ??= load().finally(() => {
      first = undefined
    })
    return first
  }
  return {
    current,
    async waitAfter(version, waitMs, signal) {
      const now = await current()
      if (now.version !== version) return now
      if (!closed) await wakened(waiting, waitMs, signal)
      return table && table.version !== version ? table : null
    },
    hear(topic) {
      if (isAboutRoutes(topic)) refresher.soon()
    },
    close() {
      closed = true
      refresher.close()
      for (const wake of [...waiting]) wake()
    },
  }
}

/** Runs the work a moment after it was asked for, however often; one run at a time, and again when it failed. */
function makeRefresher(work: () => Promise<unknown>, onError: (error: unknown) => void) {
  let timer: NodeJS.Timeout | undefined
  let running = false
  let askedMeanwhile = false
  let closed = false
  const schedule = (ms: number): void => {
    if (closed || timer) return
    // A change while the work is done may have been missed by it.
    if (running) askedMeanwhile = true
    else timer = setTimeout(() => void run(), ms)
  }
  const run = async (): Promise<void> => {
    timer = undefined
    running = true
    askedMeanwhile = false
    const failed = await work().then(
      () => false,
      (error: unknown) => {
        // What was made last stands; whoever routes by it goes on.
        onError(error)
        return true
      },
    )
    running = false
    if (failed || askedMeanwhile) schedule(failed ? retryMs : coalesceMs)
  }
  return {
    soon: () => schedule(coalesceMs),
    close() {
      closed = true
      clearTimeout(timer)
    },
  }
}

/** Resolves when one of the sleepers is woken, after the time, or when the signal aborts. */
function wakened(waiting: Set<() => void>, waitMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      waiting.delete(done)
      clearTimeout(late)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const late = setTimeout(done, waitMs)
    waiting.add(done)
    signal?.addEventListener('abort', done)
    if (signal?.aborted) done()
  })
}
