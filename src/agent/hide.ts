import type { JsonFailure } from './node-disk.ts'

/** Takes secrets out of a text, before it is told to anybody or kept. */
export type Hide = (text: string) => string

/** Each secret is hidden whole, and so is each line of one that has several, for a log is read line by line. */
export function hiderOf(secrets: readonly string[]): Hide {
  const texts = new Set(secrets.flatMap((secret) => [secret, ...secret.split(/\r?\n/)]))
  // Shorter ones would be found in words that are none. Longer ones go first: a part must not be taken out of the whole.
  const hidden = [...texts].filter((text) => text.length >= 6).sort((a, b) => b.length - a.length)
  return (text) => hidden.reduce((clean, secret) => clean.replaceAll(secret, '[secret]'), text)
}

export function hiddenIn(hide: Hide, failure: JsonFailure): JsonFailure {
  const { evidence } = failure
  return { ...failure, cause: hide(failure.cause), ...(evidence && { evidence: hide(evidence) }) }
}
