import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { tokenPrefixes } from '../core/tokens.ts'
import { usualStopMs } from '../gateway/config.ts'
import { randomToken } from '../lib/chance.ts'
import { pause } from '../lib/clock.ts'
import { hostPort } from '../lib/host.ts'
import { keepProcess, keptProcess } from '../lib/kept-process.ts'
import type { Log } from '../lib/log.ts'
import { secretFile } from '../lib/secret-file.ts'
import { projectRoot } from './config.ts'
import { isListening, tryPort } from './ports.ts'
import type { Served } from './tls.ts'

const tokenFile = (dataDir: string) => join(dataDir, 'gateway.token')

/** What a gateway shows to the control plane; made on first use. */
export const gatewayToken = (dataDir: string): string =>
  secretFile(tokenFile(dataDir), () => randomToken(tokenPrefixes.gateway))

export interface GatewayAt {
  readonly host: string
  readonly port: number
  readonly tls: Served
}

export interface GatewayProcess extends GatewayAt {
  readonly dataDir: string
  readonly controlUrl: string
  readonly gatewayUrl: string
  /** The address that nodes elsewhere call, where it is another one. */
  readonly publicUrl: string | undefined
  readonly log: Log
}

// What it still does once its requests are over, its last report among it, takes a few seconds at most.
const graceMs = usualStopMs + 10_000

const folder = (dataDir: string) => join(dataDir, 'gateway')
const recordFile = (dataDir: string) => join(folder(dataDir), 'process.json')

/** A gateway that cannot listen would be started again and again. @throws the refusal to listen. */
export async function gatewayCanListen(dataDir: string, { host, port }: GatewayAt): Promise<void> {
  if (!keptProcess(recordFile(dataDir))) await tryPort(host, port)
}

/** The gateway in a process of its own: one that outlived us is adopted, so that our restart interrupts no request. */
export function keepGateway(options: GatewayProcess) {
  const { dataDir, log } = options
  mkdirSync(folder(dataDir), { recursive: true, mode: 0o700 })
  const { PATH = '', HOME = '', FLIGHTDECK_LOG_LEVEL } = process.env
  const told = toldToGateway(options)
  return keepProcess({
    command: [process.execPath, '--disable-warning=ExperimentalWarning', join(projectRoot, 'src/main/gateway.ts')],
    recordFile: recordFile(dataDir),
    purpose: JSON.stringify(told),
    graceMs,
    env: { PATH, HOME, ...(FLIGHTDECK_LOG_LEVEL ? { FLIGHTDECK_LOG_LEVEL } : {}), ...told },
    onStart: (pid, adopted) =>
      log.info({ pid, adopted }, adopted ? 'the gateway outlived us and was adopted' : 'the gateway was started'),
    onEnd: (pid) => log.error({ pid }, 'the gateway ended and will be started again'),
  })
}

// It takes a second on a quiet machine. One that ends is started again, whatever we say meanwhile.
const listenLimitMs = 20_000

/** Waits until a gateway that was started takes requests; false when it takes too long. @throws where it is told to stop. */
export async function gatewayListens({ host, port }: GatewayAt, signal?: AbortSignal): Promise<boolean> {
  for (const until = performance.now() + listenLimitMs; performance.now() < until; await pause(50, signal)) {
    signal?.throwIfAborted()
    if (await isListening(host, port)) return true
  }
  return false
}

function toldToGateway({ dataDir, controlUrl, gatewayUrl, publicUrl, host, port, tls }: GatewayProcess) {
  return {
    FLIGHTDECK_GATEWAY_LISTEN: hostPort(host, port),
    FLIGHTDECK_CONTROL_URL: controlUrl,
    FLIGHTDECK_GATEWAY_TOKEN_FILE: tokenFile(dataDir),
    FLIGHTDECK_GATEWAY_DIR: folder(dataDir),
    FLIGHTDECK_GATEWAY_URL: publicUrl ?? gatewayUrl,
    ...(tls.files
      ? { FLIGHTDECK_GATEWAY_TLS_CERT_FILE: tls.files.certFile, FLIGHTDECK_GATEWAY_TLS_KEY_FILE: tls.files.keyFile }
      : {}),
    ...(tls.fingerprint ? { FLIGHTDECK_GATEWAY_FINGERPRINT: tls.fingerprint } : {}),
  }
}
