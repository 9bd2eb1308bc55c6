import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** `n` random characters that survive a phone call and a cloud's name rules: lower case, no i, l, o, u. */
export function randomName(n: number): string {
  return Array.from(randomBytes(n), (byte) => alphabet[byte % alphabet.length]).join('')
}

/** A secret token of 256 bits behind its prefix. */
export const randomToken = (prefix: string): string => prefix + randomBytes(32).toString('base64url')

export const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex')

export const hmacSha256 = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** Compares two hex digests in constant time. */
export function sameDigest(a: string, b: string): boolean {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.length === right.length && timingSafeEqual(left, right)
}

/** A value between 1 - share and 1 + share, to keep many timers apart. */
export const jitter = (share: number): number => 1 - share + 2 * share * Math.random()
