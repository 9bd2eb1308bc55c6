import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { tokenPrefixes } from '../core/tokens.ts'
import { randomToken } from '../lib/chance.ts'
import { keepProcess } from '../lib/kept-process.ts'
import type { Log } from '../lib/log.ts'
import { projectRoot, secretFile } from './config.ts'
import type { Served } from './tls.ts'

const tokenFile = (dataDir: string) => join(dataDir, 'gateway.token')

/** What a gateway shows to the control plane; made on first use. */
export const gatewayToken = (dataDir: string): string =>
  secretFile(tokenFile(dataDir), () => randomToken(tokenPrefixes.gateway))

export interface GatewayProcess {
  readonly dataDir: string
  readonly controlUrl: string
  readonly gatewayUrl: string
  /** The address that nodes elsewhere call, where it is another one. */
  readonly publicUrl: string | undefined
  readonly listen: string
  readonly tls: Served
  readonly log: Log
}

/** The gateway in a process of its own: one that outlived us is adopted, so that our restart interrupts no request. */
export function keepGateway({ dataDir, controlUrl, gatewayUrl, publicUrl, listen, tls, log }: GatewayProcess) {
  const dir = join(dataDir, 'gateway')
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const { PATH = '', HOME = '', FLIGHTDECK_LOG_LEVEL } = process.env
  return keepProcess({
    command: [process.execPath, '--disable-warning=ExperimentalWarning', join(projectRoot, 'src/main/gateway.ts')],
    recordFile: join(dir, 'process.json'),
    env: {
      PATH,
      HOME,
      ...(FLIGHTDECK_LOG_LEVEL ? { FLIGHTDECK_LOG_LEVEL } : {}),
      FLIGHTDECK_GATEWAY_LISTEN: listen,
      FLIGHTDECK_CONTROL_URL: controlUrl,
      FLIGHTDECK_GATEWAY_TOKEN_FILE: tokenFile(dataDir),
      FLIGHTDECK_GATEWAY_DIR: dir,
      FLIGHTDECK_GATEWAY_URL: publicUrl ?? gatewayUrl,
      ...(tls.files
        ? { FLIGHTDECK_GATEWAY_TLS_CERT_FILE: tls.files.certFile, FLIGHTDECK_GATEWAY_TLS_KEY_FILE: tls.files.keyFile }
        : {}),
      ...(tls.fingerprint ? { FLIGHTDECK_GATEWAY_FINGERPRINT: tls.fingerprint } : {}),
    },
    onStart: (pid, adopted) =>
      log.info({ pid, adopted }, adopted ? 'the gateway outlived us and was adopted' : 'the gateway was started'),
    onEnd: (pid) => log.error({ pid }, 'the gateway ended and will be started again'),
  })
}
