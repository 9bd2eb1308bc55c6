import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type DetailedPeerCertificate } from 'node:tls'

/** How to trust the other end of a TLS connection. Empty: the machine's own authorities. */
export type Trust = Pick<ConnectionOptions, 'ca'>

export class TrustError extends Error {}

// A handshake is three round trips; whoever needs longer is not going to serve. A guess.
const handshakeLimitMs = 15_000

/**
 * Turns a pinned fingerprint into an ordinary authority: asks the server once for its chain, takes the certificate that
 * carries the fingerprint, and leaves every real connection to OpenSSL's full check of chain, name and dates.
 * Nothing is sent over the asking connection. The server must send its authority along with its own certificate.
 */
export async function trustPinned(url: string, fingerprint: string): Promise<{ readonly ca: string }> {
  const { hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const chain = await readChain(host, Number(port || 443))
  const pinned = chain.find((raw) => sha256Of(raw) === fingerprint)
  if (pinned) return { ca: new X509Certificate(pinned).toString() }
  const seen = chain.map(sha256Of).join(', ')
  throw new TrustError(`No certificate of ${host} has the pinned fingerprint ${fingerprint}; it showed ${seen}.`)
}

/** Authorities that were pinned, each found once: the same one signs for the control plane and for its gateways. */
export class Pins {
  readonly #found = new Map<string, Promise<Trust>>()

  /** What a connection to `url` is trusted by; without a fingerprint, the machine's own authorities. */
  trust(url: string, fingerprint: string | null): Promise<Trust> {
    if (fingerprint === null || !url.startsWith('https:')) return Promise.resolve({})
    const known = this.#found.get(fingerprint)
    if (known !== undefined) return known
    const asked = trustPinned(url, fingerprint).catch((error: unknown) => {
      this.#found.delete(fingerprint)
      throw error
    })
    this.#found.set(fingerprint, asked)
    return asked
  }
}

/** @throws Error for what is no SHA-256 in hexadecimal; colons and a leading `sha256:` are allowed. */
export function readFingerprint(text: string, name: string): string {
  const hex = text
    .replace(/^sha256[:/]/i, '')
    .replaceAll(':', '')
    .toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new TrustError(`${name} must be the 64 hex digits of a SHA-256.`)
  return hex
}

const sha256Of = (raw: Buffer): string => new X509Certificate(raw).fingerprint256.replaceAll(':', '').toLowerCase()

function readChain(host: string, port: number): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    // Unverified on purpose: what is read here is worth nothing until its hash is the pinned one.
    const name = isIP(host) ? {} : { servername: host }
    const socket = connect({ host, port, ...name, rejectUnauthorized: false, timeout: handshakeLimitMs })
    socket.once('secureConnect', () => {
      resolve(certificates(socket.getPeerCertificate(true)))
      socket.destroy()
    })
    socket.once('timeout', () => socket.destroy(new Error(`${host} did not finish the TLS handshake.`)))
    socket.once('error', reject)
  })
}

function certificates(first: DetailedPeerCertificate): Buffer[] {
  const chain: Buffer[] = []
  // A self-signed certificate is its own issuer, which ends the walk.
  for (let at: DetailedPeerCertificate | undefined = first; at?.raw; at = at.issuerCertificate) {
    if (chain.some((raw) => raw.equals(at?.raw ?? raw))) break
    chain.push(at.raw)
  }
  return chain
}
