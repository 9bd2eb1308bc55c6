import { readFileSync } from 'node:fs'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { readFingerprint, TrustError, trustPinned } from './trust.ts'

/**
 * Lets everything in this process that speaks TLS trust one authority more. `given`: a file with its certificate, or its
 * SHA-256, with which it is read from the server at `url`. @throws TrustError that says what to set.
 */
export async function trustAlso(given: string | undefined, url: string): Promise<void> {
  if (!given || !url.startsWith('https:')) return
  // A name of Node 22.19: older ones read NODE_EXTRA_CA_CERTS, and only at their start.
  if (typeof setDefaultCACertificates !== 'function')
    throw new TrustError('FLIGHTDECK_CA needs Node 22.19 or newer; set NODE_EXTRA_CA_CERTS to the file instead.')
  const ca = await authorityOf(given, url)
  setDefaultCACertificates([...getCACertificates('default'), ca])
}

async function authorityOf(given: string, url: string): Promise<string> {
  if (/^(sha256[:/])?[0-9a-f:]{64,95}$/i.test(given)) {
    return (await trustPinned(url, readFingerprint(given, 'FLIGHTDECK_CA'))).ca
  }
  try {
    return readFileSync(given, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new TrustError(`FLIGHTDECK_CA is neither the SHA-256 of an authority nor a file that can be read: ${why}`)
  }
}
