import type { CertificateFiles } from '../lib/certificate-source.ts'
import { isLoopback } from '../lib/host.ts'
import { readFingerprint } from '../lib/trust.ts'

export interface GatewayConfig {
  readonly host: string
  readonly port: number
  /** Where agents dial; null: derived from the address that was bound. */
  readonly url: string | null
  readonly controlUrl: string
  readonly tokenFile: string
  readonly dir: string
  readonly tls: CertificateFiles | null
  /** SHA-256 of the authority that agents pin when they dial us; null: their machines' own authorities. */
  readonly fingerprint: string | null
  readonly maxBodyBytes: number
  /** Until the engine's first byte; it covers the engine's own queue. */
  readonly headersTimeoutMs: number
  /** Between two bytes of an answer. */
  readonly idleTimeoutMs: number
  /** For a spare socket of the chosen node. */
  readonly queueTimeoutMs: number
  readonly pingMs: number
  /** Of silence, after which a stream's head is sent before the engine's own. */
  readonly earlyHeadersMs: number
  readonly maxSocketsPerNode: number
  /** Also how many may wait for a node to come, where none serves their model. */
  readonly maxWaitingPerNode: number
  readonly probeMs: number
  readonly badProbeMs: number
  /** How long an engine may take to answer a question that needs no token. */
  readonly probeTimeoutMs: number
  /** A node that completed nothing for this long is asked for one token. */
  readonly tokenProbeMs: number
  /** How long that token may take: it waits behind every prompt in the engine's queue. */
  readonly tokenTimeoutMs: number
  /** How long a node may have no connection here before that counts against it. */
  readonly awayMs: number
  /** How long no byte may come from a node with requests before its agent is asked whether it is there. */
  readonly quietMs: number
  readonly aliveTimeoutMs: number
  readonly reportMs: number
  readonly pollWaitMs: number
  readonly stopMs: number
  readonly journalMaxRows: number
}

/** How long requests that are under way may take once it is told to end. */
export const usualStopMs = 30_000

// Load balancers cut silent connections at 60 s, so a comment each 15 s; OpenAI's clients give up after 10 minutes.
const numbers = {
  maxBodyBytes: ['MAX_BODY_BYTES', 32 * 1024 * 1024],
  headersTimeoutMs: ['HEADERS_TIMEOUT_MS', 600_000],
  idleTimeoutMs: ['IDLE_TIMEOUT_MS', 600_000],
  queueTimeoutMs: ['QUEUE_TIMEOUT_MS', 30_000],
  pingMs: ['PING_MS', 15_000],
  earlyHeadersMs: ['EARLY_HEADERS_MS', 15_000],
  // As many as an agent lends.
  maxSocketsPerNode: ['MAX_SOCKETS_PER_NODE', 256],
  maxWaitingPerNode: ['MAX_WAITING_PER_NODE', 1_024],
  probeMs: ['PROBE_MS', 30_000],
  badProbeMs: ['BAD_PROBE_MS', 5_000],
  // A guess: an engine under load answers /health late.
  probeTimeoutMs: ['PROBE_TIMEOUT_MS', 10_000],
  tokenProbeMs: ['TOKEN_PROBE_MS', 60_000],
  // A guess.
  tokenTimeoutMs: ['TOKEN_TIMEOUT_MS', 60_000],
  // An agent that lost its connections calls again within two seconds; its loop starts a dead one within one more.
  awayMs: ['AWAY_MS', 10_000],
  // Together below the 5 s within which a node that vanished gets nothing more; TCP sends a lost packet three times in 1.5 s.
  quietMs: ['QUIET_MS', 1_000],
  aliveTimeoutMs: ['ALIVE_TIMEOUT_MS', 3_000],
  reportMs: ['REPORT_MS', 2_000],
  pollWaitMs: ['POLL_WAIT_MS', 25_000],
  stopMs: ['STOP_MS', usualStopMs],
  // About 64 MiB on disk.
  journalMaxRows: ['JOURNAL_MAX_ROWS', 200_000],
} as const

export class ConfigRefused extends Error {}

const prefix = 'FLIGHTDECK_GATEWAY_'

/** Reads the environment. @throws ConfigRefused naming the variable and what it may be. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): GatewayConfig {
  const { host, port } = readListen(env[`${prefix}LISTEN`] ?? '127.0.0.1:8081')
  const tls = readTls(env[`${prefix}TLS_CERT_FILE`], env[`${prefix}TLS_KEY_FILE`])
  if (!tls && !isLoopback(host))
    throw new ConfigRefused(
      `Plain HTTP is only served on loopback, and ${prefix}LISTEN names ${host}. ` +
        `Give a certificate (${prefix}TLS_CERT_FILE and ${prefix}TLS_KEY_FILE), or listen on 127.0.0.1 behind a proxy that has one.`,
    )
  const controlUrl = readControl(env.FLIGHTDECK_CONTROL_URL ?? 'http://127.0.0.1:8080')
  return {
    host,
    port,
    url: env[`${prefix}URL`] ?? null,
    controlUrl,
    tokenFile: required(env, `${prefix}TOKEN_FILE`),
    dir: required(env, `${prefix}DIR`),
    tls,
    fingerprint: readPin(env[`${prefix}FINGERPRINT`]),
    ...readNumbers(env),
  }
}

function readNumbers(env: Readonly<Record<string, string | undefined>>) {
  const read = Object.entries(numbers).map(([name, [suffix, standard]]) => {
    const given = env[prefix + suffix]
    if (given === undefined) return [name, standard] as const
    const value = Number(given)
    if (!Number.isSafeInteger(value) || value < 1)
      throw new ConfigRefused(`${prefix + suffix} must be a whole number from 1, not "${given}".`)
    return [name, value] as const
  })
  return Object.fromEntries(read) as Record<keyof typeof numbers, number>
}

function readListen(listen: string): { host: string; port: number } {
  const found = /^(?:\[([0-9a-f:]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(listen)
  const port = Number(found?.[3])
  if (!found || port > 65_535)
    throw new ConfigRefused(`${prefix}LISTEN must be host:port, for example 127.0.0.1:8081, not "${listen}".`)
  return { host: found[1] ?? found[2] ?? '', port }
}

function readTls(certFile: string | undefined, keyFile: string | undefined) {
  if (certFile && keyFile) return { certFile, keyFile }
  if (certFile || keyFile)
    throw new ConfigRefused(`${prefix}TLS_CERT_FILE and ${prefix}TLS_KEY_FILE are only good together.`)
  return null
}

function readPin(text: string | undefined): string | null {
  if (!text) return null
  try {
    return readFingerprint(text, `${prefix}FINGERPRINT`)
  } catch (error) {
    throw new ConfigRefused(error instanceof Error ? error.message : String(error))
  }
}

function readControl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !['http:', 'https:'].includes(url.protocol))
    throw new ConfigRefused(`FLIGHTDECK_CONTROL_URL must be an http or https address, not "${text}".`)
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    throw new ConfigRefused('FLIGHTDECK_CONTROL_URL must be https unless it is on loopback: a token travels over it.')
  return url.origin + url.pathname.replace(/\/+$/, '')
}

function required(env: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = env[name]
  if (!value) throw new ConfigRefused(`${name} is not set.`)
  return value
}
