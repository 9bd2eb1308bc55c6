import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { failures } from '../core/failure.ts'
import { tokenPrefixes } from '../core/tokens.ts'
import { sha256 } from '../lib/chance.ts'
import type { RoutedNode } from '../wire/gateway.ts'
import { reverse } from '../wire/paths.ts'
import type { NodePool } from './pool.ts'
import type { Router } from './route.ts'

export interface UpgradeDeps {
  readonly router: Router
  /** Resolves once control has confirmed the table after now, or when it cannot in time. */
  freshTable(): Promise<void>
  /** Tells the operator of an upgrade that was refused because another agent holds the node's credential. */
  secondHolder(nodeId: string, incarnation: string): void
  joined(pool: NodePool): void
}

type RefusalCode =
  | 'credential_refused'
  | 'node_released'
  | 'second_holder'
  | 'bad_request'
  | 'rate_limited'
  | 'not_found'

export const isReverseUpgrade = (request: IncomingMessage): boolean =>
  request.headers.upgrade?.toUpperCase() === reverse.protocol && pathOf(request) === reverse.path

const pathOf = (request: IncomingMessage) => (request.url ?? '').split('?', 1)[0]

/** Takes an agent's connection as one of its node's, or answers why not. */
export async function acceptUpgrade(deps: UpgradeDeps, request: IncomingMessage, socket: Duplex, head: Buffer) {
  // Until it is a node's, an error of the socket has no reader; the close that follows it is all that matters.
  const ignore = () => socket.destroy()
  socket.on('error', ignore)
  const verdict = await judge(deps, request, head)
  if (socket.destroyed) return
  if (typeof verdict === 'string') return refuse(socket, verdict)
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${reverse.protocol}\r\n\r\n`)
  verdict.add(socket as Socket)
  socket.off('error', ignore)
  deps.joined(verdict)
}

async function judge(deps: UpgradeDeps, request: IncomingMessage, head: Buffer): Promise<NodePool | RefusalCode> {
  if (!isReverseUpgrade(request)) return 'not_found'
  // We speak first on this connection; bytes that came with the upgrade would be taken for an answer.
  if (head.length > 0) return 'bad_request'
  const incarnation = request.headers[reverse.incarnationHeader]
  if (typeof incarnation !== 'string' || incarnation.length < 8 || incarnation.length > 64) return 'bad_request'
  const token = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
  if (!token?.startsWith(tokenPrefixes.node)) return 'credential_refused'
  const node = await findHolder(deps, sha256(token))
  if (!node) return 'credential_refused'
  if (node.order === 'end') return 'node_released'
  return admit(deps, node, incarnation)
}

/** A node may dial before the table that lists it has come. */
async function findHolder({ router, freshTable }: UpgradeDeps, hash: string): Promise<RoutedNode | null> {
  const known = router.holder(hash)
  if (known) return known
  await freshTable()
  return router.holder(hash)
}

/** The pool that takes a connection of this incarnation of the node's agent, or why none does. */
export async function admit(deps: UpgradeDeps, node: RoutedNode, incarnation: string): Promise<NodePool | RefusalCode> {
  let pool = deps.router.pools.get(node.id)
  if (pool && differs(pool, incarnation) && pool.node.incarnation !== incarnation) {
    await deps.freshTable()
    pool = deps.router.pools.get(node.id)
  }
  if (!pool) return 'credential_refused'
  if (differs(pool, incarnation)) {
    if (pool.node.incarnation !== incarnation) {
      deps.secondHolder(node.id, incarnation)
      return 'second_holder'
    }
    // Control knows the new one, so the old agent is gone and its connections only look alive.
    pool.closeAll('Another incarnation of the agent took over.')
  }
  if (pool.full) return 'rate_limited'
  pool.incarnation = incarnation
  return pool
}

const differs = (pool: NodePool, incarnation: string) => pool.sockets.size > 0 && pool.incarnation !== incarnation

function refuse(socket: Duplex, code: RefusalCode) {
  const { status, remedy } = failures[code]
  const body = JSON.stringify({ error: { code, remedy } })
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
