import { isIP } from 'node:net'
import { Failure } from '../core/failure.ts'

export interface HostRules {
  /** Where we listen. */
  readonly host: string
  /** Names that a proxy in front of us may pass on. */
  readonly publicUrl?: string | undefined
  readonly allowedOrigins: readonly string[]
}

/**
 * Refuses a Host header that is not ours. A page of a stranger can give its own name our loopback address; the browser
 * then sends its calls here, and only the name in them tells.
 */
export function makeHostCheck({ host, publicUrl, allowedOrigins }: HostRules): (header: string | undefined) => void {
  if (!isLoopback(host)) return () => undefined
  const listed = new Set([...allowedOrigins, ...(publicUrl ? [publicUrl] : [])].map((url) => hostnameOf(url)))
  return (header) => {
    const name = hostnameOf(`http://${header ?? ''}`)
    if (name !== null && (isLoopback(name) || listed.has(name))) return
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
    return URL.canParse(origin) && host !== undefined && new URL(origin).host === host.toLowerCase()
  }
}

function hostnameOf(url: string): string | null {
  if (!URL.canParse(url)) return null
  const { hostname, username, pathname } = new URL(url)
  // Something like `good@evil` or `good/..` is no host.
  return username === '' && pathname === '/' ? hostname : null
}

export function isLoopback(name: string): boolean {
  const bare = name.replace(/^\[|\]$/g, '')
  return (
    bare === 'localhost' ||
    bare.endsWith('.localhost') ||
    bare === '::1' ||
    (isIP(bare) === 4 && bare.startsWith('127.'))
  )
}
