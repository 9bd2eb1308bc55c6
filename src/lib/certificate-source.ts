import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { issue, type KeyPair, whyUnusable } from './certificate.ts'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'

/** A certificate that changes while it is served. */
export interface CertificateSource {
  readonly current: KeyPair
  /** Calls back with every one that takes the place of the current one. */
  onChange(take: (pair: KeyPair) => void): void
  close(): void
}

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

// Read again instead of watched: volumes of a container change by a link that moves, which watching does not see.
const lookMs = 5_000

/** The operator's files, read again when they change. @throws Error when they cannot be served at the start. */
export function certificateFromFiles(files: CertificateFiles, log: Log, everyMs = lookMs): CertificateSource {
  const { certFile, keyFile } = files
  let current = readPair(files)
  const why = whyUnusable(current)
  if (why) throw new Error(`The certificate ${certFile} with the key ${keyFile} cannot be served: ${why}.`)
  const takers: ((pair: KeyPair) => void)[] = []
  let toldTrouble = ''
  const look = (): void => {
    try {
      const fresh = readPair(files)
      if (fresh.cert === current.cert && fresh.key === current.key) return
      const trouble = whyUnusable(fresh)
      if (trouble) throw new Error(trouble)
      current = fresh
      toldTrouble = ''
      for (const take of takers) take(fresh)
      log.info({ certFile }, 'The certificate changed and is served from now on.')
    } catch (error) {
      // Often only half of it is written yet: the second file changes a moment later.
      if (String(error) !== toldTrouble)
        log.warn({ certFile, why: String(error) }, 'The changed certificate cannot be served; the old one stays.')
      toldTrouble = String(error)
    }
  }
  const timer = setInterval(look, everyMs)
  timer.unref()
  return {
    get current() {
      return current
    },
    onChange: (take) => void takers.push(take),
    close: () => clearInterval(timer),
  }
}

function readPair({ certFile, keyFile }: CertificateFiles): KeyPair {
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
}

// Browsers stopped at 398 days; agents care about the authority only. Renewed when a third is left.
const ownDays = 90
const renewLookMs = 3_600_000

/** Certificates of our own authority, renewed in time. */
export function certificateFrom(authority: KeyPair, hosts: readonly string[], clock: Clock): CertificateSource {
  const fresh = () => issue(authority, { hosts, now: clock.now(), days: ownDays })
  let current = fresh()
  const takers: ((pair: KeyPair) => void)[] = []
  const timer = setInterval(() => {
    if (!isDue(current, clock.now())) return
    current = fresh()
    for (const take of takers) take(current)
  }, renewLookMs)
  timer.unref()
  return {
    get current() {
      return current
    },
    onChange: (take) => void takers.push(take),
    close: () => clearInterval(timer),
  }
}

const isDue = ({ cert }: KeyPair, now: number): boolean =>
  Date.parse(new X509Certificate(cert).validTo) - now < (ownDays * 86_400_000) / 3
