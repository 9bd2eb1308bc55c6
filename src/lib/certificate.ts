import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import * as x509 from '@peculiar/asn1-x509'

/** Both in PEM. `cert` may be followed by the certificates of its authorities. */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

export interface Wanted {
  /** Host names and addresses that the certificate is good for. */
  readonly hosts: readonly string[]
  /** Epoch ms. */
  readonly now: number
  readonly days: number
}

const dayMs = 86_400_000
// Clocks of machines disagree; a certificate that is not good yet would keep a fresh machine out.
const backdatedMs = 2 * dayMs
const ecdsaWithSha256 = '1.2.840.10045.4.3.2'
const commonName = '2.5.4.3'

/** SHA-256 of the first certificate, as 64 hex digits. */
export const fingerprintOf = (pem: string): string =>
  new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase()

/** A new authority that signs itself. P-256: every TLS library of the last decade reads it. */
export function makeAuthority(name: string, { now, days }: Omit<Wanted, 'hosts'>): KeyPair {
  const keys = newKeys()
  const extensions = [
    extension(x509.id_ce_basicConstraints, new x509.BasicConstraints({ cA: true, pathLenConstraint: 0 }), true),
    extension(
      x509.id_ce_keyUsage,
      new x509.KeyUsage(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign),
      true,
    ),
    extension(x509.id_ce_subjectKeyIdentifier, new x509.SubjectKeyIdentifier(keyId(keys.publicDer))),
  ]
  const subject = nameOf(name)
  const cert = signed({ subject, issuer: subject, publicDer: keys.publicDer, extensions, now, days }, keys.pem)
  return { cert, key: keys.pem }
}

/** A server's certificate under an authority, with the authority behind it: whoever pins the authority reads it there. */
export function issue(authority: KeyPair, { hosts, now, days }: Wanted): KeyPair {
  const keys = newKeys()
  const issuer = AsnConvert.parse(new X509Certificate(authority.cert).raw, x509.Certificate).tbsCertificate
  const issuerId = new x509.KeyIdentifier(keyId(Buffer.from(AsnConvert.serialize(issuer.subjectPublicKeyInfo))))
  const names = hosts.map((host) => new x509.GeneralName(isIP(host) ? { iPAddress: host } : { dNSName: host }))
  const extensions = [
    extension(x509.id_ce_basicConstraints, new x509.BasicConstraints(), true),
    extension(x509.id_ce_keyUsage, new x509.KeyUsage(x509.KeyUsageFlags.digitalSignature), true),
    extension(x509.id_ce_extKeyUsage, new x509.ExtendedKeyUsage([x509.id_kp_serverAuth])),
    extension(x509.id_ce_subjectAltName, new x509.SubjectAlternativeName(names)),
    extension(x509.id_ce_authorityKeyIdentifier, new x509.AuthorityKeyIdentifier({ keyIdentifier: issuerId })),
  ]
  const subject = nameOf('flightdeck')
  const terms = { subject, issuer: issuer.subject, publicDer: keys.publicDer, extensions, now, days }
  return { cert: signed(terms, authority.key) + authority.cert, key: keys.pem }
}

/** What is wrong with a pair, in words; null when it can be served. */
export function whyUnusable({ cert, key }: KeyPair): string | null {
  try {
    const own = new X509Certificate(cert)
    return own.checkPrivateKey(createPrivateKey(key)) ? null : 'the key is not the one of the certificate'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

interface Terms extends Omit<Wanted, 'hosts'> {
  readonly subject: x509.Name
  readonly issuer: x509.Name
  readonly publicDer: Buffer
  readonly extensions: x509.Extension[]
}

function signed({ subject, issuer, publicDer, extensions, now, days }: Terms, signingKey: string): string {
  const algorithm = new x509.AlgorithmIdentifier({ algorithm: ecdsaWithSha256 })
  const serial = randomBytes(16)
  // Positive, and never with a leading zero byte that would have to be left out.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  const tbs = new x509.TBSCertificate({
    version: x509.Version.v3,
    serialNumber: arrayOf(serial),
    signature: algorithm,
    issuer,
    validity: new x509.Validity({ notBefore: new Date(now - backdatedMs), notAfter: new Date(now + days * dayMs) }),
    subject,
    subjectPublicKeyInfo: AsnConvert.parse(publicDer, x509.SubjectPublicKeyInfo),
    extensions: new x509.Extensions(extensions),
  })
  const signatureValue = arrayOf(sign('sha256', Buffer.from(AsnConvert.serialize(tbs)), signingKey))
  const certificate = new x509.Certificate({ tbsCertificate: tbs, signatureAlgorithm: algorithm, signatureValue })
  return new X509Certificate(Buffer.from(AsnConvert.serialize(certificate))).toString()
}

function newKeys(): { publicDer: Buffer; pem: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    publicDer: publicKey.export({ type: 'spki', format: 'der' }),
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

const nameOf = (text: string): x509.Name =>
  new x509.Name([
    new x509.RelativeDistinguishedName([
      new x509.AttributeTypeAndValue({ type: commonName, value: new x509.AttributeValue({ utf8String: text }) }),
    ]),
  ])

const extension = (extnID: string, value: object, critical = false): x509.Extension =>
  new x509.Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) })

const keyId = (publicDer: Buffer): ArrayBuffer => arrayOf(createHash('sha1').update(publicDer).digest())

const arrayOf = (bytes: Buffer): ArrayBuffer => new Uint8Array(bytes).buffer
