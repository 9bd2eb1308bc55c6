import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { hmacSha256 } from './chance.ts'

/** Sealing and deriving under one key that never enters the database. */
export interface Vault {
  /** AES-256-GCM: nonce, tag and text in one buffer. `label` must be the same when it is opened. */
  seal(label: string, text: string): Buffer
  /** @throws when the key, the label or a byte is another one. */
  open(label: string, sealed: Buffer): string
  /** The same secret for the same label, every time: what was lost in a crash can be said again. */
  derive(label: string): string
  /** Says whether a key is the one that a data set was made with, without telling the key. */
  readonly check: string
}

export function makeVault(key: Buffer): Vault {
  if (key.length !== 32) throw new Error('a vault key has 32 bytes')
  const sealing = hmacSha256(key, 'seal')
  const deriving = hmacSha256(key, 'derive')
  return {
    seal(label, text) {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', sealing, nonce).setAAD(Buffer.from(label))
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed])
    },
    open(label, sealed) {
      const decipher = createDecipheriv('aes-256-gcm', sealing, sealed.subarray(0, 12)).setAAD(Buffer.from(label))
      decipher.setAuthTag(sealed.subarray(12, 28))
      return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString('utf8')
    },
    derive: (label) => hmacSha256(deriving, label).toString('base64url'),
    check: hmacSha256(key, 'check').toString('hex'),
  }
}
