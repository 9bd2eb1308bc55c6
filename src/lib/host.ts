import { BlockList, isIP } from 'node:net'

/** A whole fleet may call at once after a restart; Node's own 511 would make most of it wait for its next try. Linux's limit. */
export const listenBacklog = 4_096

/** How far away an address can be used. A name may stand for anything, so it counts as `anywhere`. */
export type Reach = 'this_host' | 'nobody' | 'this_network' | 'private_network' | 'anywhere'

// RFC 6890 and its IPv6 counterparts: addresses that no router passes on, or none beyond its own network.
const ranges: readonly (readonly [Exclude<Reach, 'anywhere'>, BlockList])[] = [
  ['this_host', listOf('127.0.0.0/8', '::1/128')],
  ['nobody', listOf('0.0.0.0/8', '::/128', '240.0.0.0/4', '224.0.0.0/4', 'ff00::/8')],
  ['this_network', listOf('169.254.0.0/16', 'fe80::/10')],
  ['private_network', listOf('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7')],
]

function listOf(...subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [address = '', bits] = subnet.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

/** `host`: as in a URL, with or without the brackets of IPv6. */
export function reachOf(host: string): Reach {
  const bare = bareHost(host).toLowerCase()
  if (bare === 'localhost' || bare.endsWith('.localhost')) return 'this_host'
  const family = isIP(bare)
  if (family === 0) return 'anywhere'
  const found = ranges.find(([, list]) => list.check(bare, family === 6 ? 'ipv6' : 'ipv4'))
  return found?.[0] ?? 'anywhere'
}

/** Names other than localhost may resolve to anything, now or later. */
export function isLoopback(host: string): boolean {
  const bare = bareHost(host)
  return bare === 'localhost' || (isIP(bare) !== 0 && reachOf(bare) === 'this_host')
}

/** What listens there listens on every address of the machine. */
export const isEveryAddress = (host: string): boolean => ['0.0.0.0', '::'].includes(bareHost(host))

export const bareHost = (host: string): string => host.replace(/^\[|\]$/g, '')

/** Where programs on this machine call a server that listens on `host`: plain HTTP, for nobody else gets that. */
export const loopbackUrl = (host: string, port: number): string =>
  `http://${hostPort(isLoopback(host) ? host : '127.0.0.1', port)}`

export const hostPort = (host: string, port: number): string =>
  `${bareHost(host).includes(':') ? `[${bareHost(host)}]` : host}:${port}`
