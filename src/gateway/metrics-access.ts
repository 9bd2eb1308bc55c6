import type { IncomingMessage } from 'node:http'
import { sameDigest, sha256 } from '../lib/chance.ts'
import { isLoopback } from '../lib/host.ts'

/**
 * Figures say what is served, where and how much. They are for programs on this machine, and for whoever shows the
 * token that the gateways share. What a proxy hands on comes from elsewhere, wherever the proxy runs.
 */
export function mayReadMetrics({ headers, socket }: IncomingMessage, token: string): boolean {
  const handedOn = 'x-forwarded-for' in headers || 'forwarded' in headers
  if (!handedOn && isLoopback(socket.remoteAddress ?? '')) return true
  const shown = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  return shown !== undefined && sameDigest(sha256(shown), sha256(token))
}
