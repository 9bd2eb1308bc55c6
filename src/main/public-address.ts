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

/**
 * The address that a cloud's nodes call. A node that cannot reach us is paid for and never joins, so this is checked
 * before the first one is asked for.
 */
export function nodesReachUsAt(
  cloud: string,
  given: Pick<SkyCloudConfig, 'onThisHost' | 'privateNetwork'>,
  where: PublicAddresses & { readonly controlUrl: string },
): string {
  if (given.onThisHost) return where.controlUrl
  const mayBePrivate = given.privateNetwork ?? ownNetworkClouds.has(cloud)
  const refuse = (name: string, what: string, url: string | undefined) =>
    refuseUnreachable({ cloud, name, what, mayBePrivate }, url)
  refuse('FLIGHTDECK_PUBLIC_GATEWAY_URL', 'the gateway', where.publicGatewayUrl)
  return refuse('FLIGHTDECK_PUBLIC_URL', 'the control plane', where.publicUrl)
}

// Machines that somebody put up beside us more often than not; those of other clouds are across the internet.
const ownNetworkClouds = new Set(['kubernetes', 'slurm', 'ssh'])

interface Asked {
  readonly cloud: string
  readonly name: string
  readonly what: string
  readonly mayBePrivate: boolean
}

const wrongReach: Readonly<Record<Exclude<Reach, 'anywhere'>, string>> = {
  this_host: "which is another machine's own address",
  nobody: 'which is where to listen and no address that anybody can call',
  this_network: 'which no machine beyond its own network segment can call',
  private_network: 'an address of a private network, which machines elsewhere cannot call',
}

function refuseUnreachable({ cloud, name, what, mayBePrivate }: Asked, url: string | undefined): string {
  const remedy = `Set ${name} to the https address at which machines in "${cloud}" reach ${what}, or, where they are this very machine, "onThisHost": true for that cloud.`
  if (!url) throw new Error(`Machines in "${cloud}" could not reach ${what}: it has no public address. ${remedy}`)
  if (!URL.canParse(url)) throw new Error(`${name} is not an address: ${url}. ${remedy}`)
  const { protocol, hostname } = new URL(url)
  const reach = reachOf(hostname)
  if (reach !== 'anywhere' && !(reach === 'private_network' && mayBePrivate)) {
    const also = reach === 'private_network' ? ' Where they share that network, say "privateNetwork": true.' : ''
    throw new Error(`${name} is ${url}, ${wrongReach[reach]} in "${cloud}". ${remedy}${also}`)
  }
  if (protocol !== 'https:') throw new Error(`${name} is ${url}: plain HTTP would carry tokens in the clear. ${remedy}`)
  return url.replace(/\/+$/, '')
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
