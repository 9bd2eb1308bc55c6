import { codeOf } from '../lib/error-code.ts'

// What the driver and the server say when there is nobody to talk to, as opposed to a statement that is wrong.
const awayCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  // Shut down, crashed, starting up; and no connection left.
  '57P01',
  '57P02',
  '57P03',
  '53300',
])
const awayWords =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/

/** True when the database could not be reached, so that the same work may succeed later. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = codeOf(error)
  return awayCodes.has(code) || code.startsWith('08') || awayWords.test(error.message)
}
