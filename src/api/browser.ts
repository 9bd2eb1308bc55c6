import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { Failure } from '../core/failure.ts'
import { isLoopback, reachOf } from '../lib/host.ts'

export interface HostRules {
  /** Where we listen. */
  readonly host: string
  /** Names that a proxy in front of us may pass on. */
  readonly publicUrl?: string | undefined
  readonly allowedOrigins: readonly string[]
}

export const isEncrypted = (socket: Socket): boolean => 'encrypted' in socket && socket.encrypted === true

export type HostCheck = (header: string | undefined, encrypted: boolean) => void

/**
 * Refuses a Host header that is not ours. A page of a stranger can give its own name our loopback address; the browser
 * then sends its calls here, and only the name in them tells.
 */
export function makeHostCheck({ host, publicUrl, allowedOrigins }: HostRules): HostCheck {
  const listed = new Set([...allowedOrigins, ...(publicUrl ? [publicUrl] : [])].map((url) => hostnameOf(url)))
  return (header, encrypted) => {
    // Under TLS the browser has compared the name with our certificate's; a stranger's name is in none of them.
    if (encrypted && !isLoopback(host)) return
    const name = hostnameOf(`http://${header ?? ''}`)
    if (name !== null && (reachOf(name) === 'this_host' || listed.has(name))) return
    throw new Failure('origin_refused', `The host "${(header ?? '').slice(0, 200)}" is not served here.`, {
      remedy: 'Call the address that `flightdeck up` printed, or add the name to the allowed origins.',
    })
  }
}

/** A program sends no Origin; a page sends its own, which must be ours or one that is listed. */
export function makeOriginCheck(
  allowedOrigins: readonly string[],
): (origin: string | undefined, host: string | undefined) => boolean {
  const listed = new Set(allowedOrigins)
  return (origin, host) => {
    if (origin === undefined || listed.has(origin)) return true
    return isOwnOrigin({ origin, host })
  }
}

/**
 * Whether a browser says that a page of ours asks. Browsers that do not say where a request comes from say at least which
 * page sent it; who says neither is not believed, because a cookie goes along whoever had it sent.
 */
export function isOwnPage(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site']
  return site === undefined ? isOwnOrigin(headers) : site === 'same-origin'
}

/** Whether the page that asks lies at the very host and port that it asks. */
export function isOwnOrigin({ origin, host }: IncomingHttpHeaders): boolean {
  return (
    origin !== undefined && host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
  )
}

/** Whether the browser speaks TLS: with us, or with the proxy that stands at the public address. */
export function makeTlsCheck(publicUrl: string | undefined): (headers: IncomingHttpHeaders, socket: Socket) => boolean {
  const proxied = publicUrl?.startsWith('https:') ? new URL(publicUrl).host : null
  return ({ host }, socket) => isEncrypted(socket) || (proxied !== null && host?.toLowerCase() === proxied)
}

function hostnameOf(url: string): string | null {
  if (!URL.canParse(url)) return null
  const { hostname, username, pathname } = new URL(url)
  // Something like `good@evil` or `good/..` is no host.
  return username === '' && pathname === '/' ? hostname : null
}
