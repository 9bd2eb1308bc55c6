import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { DirectPorts } from '../clouds/skypilot/launches.ts'
import type { DirectWay } from '../intake/direct.ts'
import { fingerprintOf, issue, type KeyPair, makeAuthority } from '../lib/certificate.ts'
import {
  type CertificateFiles,
  type CertificateSource,
  certificateFrom,
  certificateFromFiles,
} from '../lib/certificate-source.ts'
import { systemClock } from '../lib/clock.ts'
import { bareHost, isEveryAddress, isLoopback } from '../lib/host.ts'
import type { Log } from '../lib/log.ts'
import type { Vault } from '../lib/vault.ts'
import { ensureAuthority } from '../store/authority.ts'
import type { Store } from '../store/database.ts'
import type { Config } from './config.ts'
import type { PublicAddresses } from './public-address.ts'
import { directPortsOf } from './skypilot.ts'
import { writeWhole } from './whole-file.ts'

/** How one of our two ports is served beyond loopback. */
export interface Served {
  readonly certificate: CertificateSource | null
  /** Files for a process that serves it by itself. */
  readonly files: CertificateFiles | null
  /** What machines pin at the public address; null: their own authorities vouch for what they see there. */
  readonly fingerprint: string | null
}

export interface InstallTls {
  readonly control: Served
  readonly gateway: Served
  /** Where people find the authority, and its fingerprint; null while nothing of ours is signed by it. */
  readonly authority: { readonly file: string; readonly cert: string; readonly fingerprint: string } | null
  /** How gateways call nodes of the clouds that want it; null: none does. */
  readonly direct: DirectWay | null
  close(): void
}

export interface TlsDeps {
  readonly store: Store
  readonly vault: Vault
  readonly install: string
  readonly dataDir: string
  readonly log: Log
}

// Machines pin it for as long as they live, and nothing but a person replaces it.
const authorityDays = 20 * 365

type Address = Config['listen']

const wantsTls = ({ host, tls }: Address): boolean => tls !== undefined || !isLoopback(host)
const wantsOwn = (address: Address): boolean => wantsTls(address) && !address.tls

/** Certificates for the control API and the gateway: the operator's, or those of the install's own authority. */
export async function installTls(config: Config, addresses: PublicAddresses, deps: TlsDeps): Promise<InstallTls> {
  const { listen, gateway } = config
  const { dataDir, log } = deps
  const ports = directPortsOf(config.skypilot)
  const isShown = wantsOwn(listen) || wantsOwn(gateway)
  const authority = isShown || ports.size > 0 ? await ownAuthority(deps) : null
  const own = authority && certificateFrom(authority, ownHosts(config, Object.values(addresses)), systemClock)
  const fingerprint = authority && fingerprintOf(authority.cert)
  const served = (address: Address, files: CertificateFiles | null): Served => {
    if (!wantsTls(address)) return { certificate: null, files: null, fingerprint: null }
    if (address.tls) return { certificate: null, files: address.tls, fingerprint: null }
    return { certificate: own, files, fingerprint: address.proxied ? null : fingerprint }
  }
  const control = served(listen, null)
  const given = control.files && certificateFromFiles(control.files, log)
  const gatewayFiles = own && wantsOwn(gateway) ? keptForGateway(own, dataDir, log) : null
  const shown = isShown && authority && fingerprint ? { ...authorityFile(dataDir, authority), fingerprint } : null
  return {
    control: { ...control, certificate: given ?? control.certificate },
    gateway: served(gateway, gatewayFiles),
    authority: shown,
    direct: authority && ports.size > 0 ? directWay(authority, ports) : null,
    close() {
      own?.close()
      given?.close()
    },
  }
}

// Longer than any machine is rented; the address in the table and the token end with the node.
const nodeDays = 5 * 365

function directWay(authority: KeyPair, ports: DirectPorts): DirectWay {
  return {
    authority: authority.cert,
    portOf: (cloud) => ports.get(cloud) ?? null,
    certificateFor: (machine) => issue(authority, { hosts: [machine], now: systemClock.now(), days: nodeDays }),
  }
}

async function ownAuthority({ store, vault, install }: TlsDeps): Promise<KeyPair> {
  const make = () => makeAuthority(`Flightdeck install ${install}`, { now: systemClock.now(), days: authorityDays })
  return ensureAuthority(store.db, vault, make)
}

function ownHosts({ listen, gateway }: Config, publicUrls: readonly (string | undefined)[]): string[] {
  const listening = [listen.host, gateway.host].filter((host) => !isEveryAddress(host))
  const announced = publicUrls.flatMap((url) => (url && URL.canParse(url) ? [new URL(url).hostname] : []))
  return [...new Set(['localhost', '127.0.0.1', '::1', ...[...listening, ...announced].map(bareHost)])]
}

/** One file for both halves, so that whoever reads it never finds the key of another certificate. */
function keptForGateway(source: CertificateSource, dataDir: string, log: Log): CertificateFiles {
  const file = join(dataDir, 'gateway', 'tls.pem')
  mkdirSync(join(dataDir, 'gateway'), { recursive: true, mode: 0o700 })
  const write = ({ cert, key }: KeyPair) => writeWhole(file, cert + key, 0o600)
  write(source.current)
  source.onChange((pair) => {
    try {
      write(pair)
    } catch (error) {
      log.error({ err: error }, "The gateway's new certificate cannot be written; it goes on with the old one.")
    }
  })
  return { certFile: file, keyFile: file }
}

function authorityFile(dataDir: string, { cert }: KeyPair): { file: string; cert: string } {
  const file = join(dataDir, 'authority.pem')
  writeWhole(file, cert, 0o644)
  return { file, cert }
}
