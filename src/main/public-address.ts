import { request } from 'node:https'
import { pause } from '../lib/clock.ts'
import { hostPort, isEveryAddress, isLoopback, type Reach, reachOf } from '../lib/host.ts'
import type { Config } from './config.ts'
import type { SkyCloudConfig } from './skypilot-config.ts'

/** Where machines elsewhere, and people, reach the control API and the gateway. */
export interface PublicAddresses {
  readonly publicUrl: string | undefined
  readonly publicGatewayUrl: string | undefined
}

export function publicAddresses(
  config: Config,
  env: NodeJS.ProcessEnv,
  ports: { readonly control: number; readonly gateway: number },
): PublicAddresses {
  return {
    publicUrl: env.FLIGHTDECK_PUBLIC_URL || config.publicUrl || ownAddress(config.listen, ports.control),
    publicGatewayUrl:
      env.FLIGHTDECK_PUBLIC_GATEWAY_URL || config.publicGatewayUrl || ownAddress(config.gateway, ports.gateway),
  }
}

/** Whoever listens on one address beyond loopback has said where it is reached. */
function ownAddress({ host, proxied }: Config['listen'], port: number): string | undefined {
  return isLoopback(host) || isEveryAddress(host) || proxied ? undefined : `https://${hostPort(host, port)}`
}

type NodesAt = Pick<SkyCloudConfig, 'onThisHost' | 'privateNetwork'>

/** The address that a cloud's nodes call. @throws Error as `refuseUnreachable`. */
export function nodesReachUsAt(
  cloud: string,
  given: NodesAt,
  where: PublicAddresses & { readonly controlUrl: string },
): string {
  if (given.onThisHost) return where.controlUrl
  refuseUnreachable({ [cloud]: given }, where)
  return (where.publicUrl ?? '').replace(/\/+$/, '')
}

/**
 * A node that cannot reach us is paid for and never joins, so this is checked before anything is built or asked for.
 * @throws Error that names all that is missing or wrong, for every cloud, and what to set.
 */
export function refuseUnreachable(clouds: Readonly<Record<string, NodesAt>>, where: PublicAddresses): void {
  const cloudsOf = new Map<string, string[]>()
  for (const [cloud, given] of Object.entries(clouds)) {
    const wrong = given.onThisHost ? [] : whatIsWrong(where, given.privateNetwork ?? ownNetworkClouds.has(cloud))
    for (const why of wrong) cloudsOf.set(why, [...(cloudsOf.get(why) ?? []), `"${cloud}"`])
  }
  if (cloudsOf.size === 0) return
  const all = [...new Set([...cloudsOf.values()].flat())].join(', ')
  const told = [...cloudsOf].map(([why, of]) => (of.join(', ') === all ? why : `${why} (${of.join(', ')})`))
  const names = addressed.filter(({ name }) => told.some((why) => why.startsWith(name)))
  const set = names.map(({ name, what }) => `${name} to the https address at which they reach ${what}`).join(', and ')
  const isPrivate = told.some((why) => why.includes(wrongReach.private_network))
  const also = isPrivate ? ' Where they share that network, say "privateNetwork": true.' : ''
  throw new Error(
    `Machines in ${all} could not reach us: ${told.join('; ')}. Set ${set}, or, where they are this very machine, "onThisHost": true for that cloud.${also}`,
  )
}

// Machines that somebody put up beside us more often than not; those of other clouds are across the internet.
const ownNetworkClouds = new Set(['kubernetes', 'slurm', 'ssh'])

const addressed = [
  { name: 'FLIGHTDECK_PUBLIC_URL', what: 'the control plane', of: 'publicUrl' },
  { name: 'FLIGHTDECK_PUBLIC_GATEWAY_URL', what: 'the gateway', of: 'publicGatewayUrl' },
] as const

const wrongReach: Readonly<Record<Exclude<Reach, 'anywhere'>, string>> = {
  this_host: "another machine's own address",
  nobody: 'where to listen and no address that anybody can call',
  this_network: 'an address that no machine beyond its own network segment can call',
  private_network: 'an address of a private network, which machines elsewhere cannot call',
}

/** Each begins with the variable that it is about. */
function whatIsWrong(where: PublicAddresses, mayBePrivate: boolean): string[] {
  return addressed.flatMap(({ name, what, of }) => {
    const url = where[of]
    if (!url) return [`${name} is not set, and ${what} has no public address of its own`]
    if (!URL.canParse(url)) return [`${name} is not an address: ${url}`]
    const { protocol, hostname } = new URL(url)
    const reach = reachOf(hostname)
    if (reach !== 'anywhere' && !(reach === 'private_network' && mayBePrivate))
      return [`${name} is ${url}, ${wrongReach[reach]}`]
    return protocol === 'https:' ? [] : [`${name} is ${url}: plain HTTP would carry tokens in the clear`]
  })
}

export interface PublicCheck {
  readonly url: string
  readonly of: keyof typeof answering
  readonly install: string
  /** The authority that machines pin there; null: what this machine trusts. */
  readonly ca: string | null
}

const answering = {
  control: { path: '/api/health', what: 'control plane', variable: 'FLIGHTDECK_PUBLIC_URL' },
  gateway: { path: '/health', what: 'gateway', variable: 'FLIGHTDECK_PUBLIC_GATEWAY_URL' },
} as const

const answerLimitMs = 10_000
const mostBytes = 65_536

/**
 * Whether this install answers at its public address, as far as it can be seen from here: null when it does, else what
 * was found. Not every network lets a machine call its own public address, so what cannot be reached proves nothing.
 */
export async function lookAtPublicAddress(check: PublicCheck, stop?: AbortSignal): Promise<string | null> {
  const { url, of, install, ca } = check
  const { path, what, variable } = answering[of]
  let body: string
  try {
    body = await read(`${url.replace(/\/+$/, '')}${path}`, ca, stop)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return `${url} could not be checked from here (${why}). If machines cannot reach it either, they are paid for and never join.`
  }
  const found = installIn(body)
  if (found === install) return null
  const who = found === null ? `something that is no ${what}` : `another install (${found})`
  return `At ${url} answers ${who}: machines would call there, or nowhere. Correct ${variable} or what stands there.`
}

// The gateway is started after us, and says whose it is once it has its table.
const patienceMs = 20_000
const againMs = 500

/** The same, of an install that is just starting: what is wrong at first is looked at again before it is told. */
export async function watchPublicAddress(check: PublicCheck, stop: AbortSignal): Promise<string | null> {
  const until = performance.now() + patienceMs
  for (;;) {
    const found = await lookAtPublicAddress(check, stop)
    if (found === null || stop.aborted || performance.now() > until) return stop.aborted ? null : found
    await pause(againMs, stop)
  }
}

function installIn(body: string): string | null {
  try {
    const { install } = JSON.parse(body) as { install?: unknown }
    return typeof install === 'string' ? install : null
  } catch {
    // A page of something else: that is the answer.
    return null
  }
}

function read(url: string, ca: string | null, signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { agent: false, ...(ca ? { ca } : {}), ...(signal ? { signal } : {}) }
    const asked = request(url, options, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        body += piece
        if (body.length > mostBytes) asked.destroy(new Error('the answer is too long'))
      })
      response.on('end', () => resolve(body))
      response.on('error', reject)
    })
    const late = setTimeout(() => asked.destroy(new Error(`no answer within ${answerLimitMs} ms`)), answerLimitMs)
    asked.on('close', () => clearTimeout(late))
    asked.on('error', reject)
    asked.end()
  })
}
