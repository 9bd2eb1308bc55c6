import { Failure, type FailureRecord, failureRecord } from '../core/failure.ts'
import { hostPort } from '../lib/host.ts'
import { EmbeddedError } from '../store/embedded-error.ts'

/** Why the control plane did not start, and what to do about it. */
export function whyNotStarted(error: unknown): FailureRecord {
  if (error instanceof Failure) return error.record
  if (error instanceof EmbeddedError) return failureRecord('cannot_start', error.message, { remedy: error.remedy })
  const refusal = listenRefusal(error)
  if (refusal) return refusal
  // What we refuse by hand is an Error and names the remedy; any other class is a fault of ours.
  if (error instanceof Error && error.constructor === Error) return failureRecord('cannot_start', error.message)
  const evidence = error instanceof Error && error.stack ? { evidence: error.stack } : {}
  return failureRecord('internal', messageOf(error), evidence)
}

interface SystemError extends Error {
  readonly code: string
  readonly syscall?: string
  readonly address?: string
  readonly port?: number
}

const isSystemError = (error: unknown): error is SystemError => error instanceof Error && 'code' in error

const listenRemedies: Readonly<Record<string, string>> = {
  EADDRINUSE:
    'Stop that program, or choose another port: --port and --gateway-port, or listen.port and gateway.port in the configuration.',
  EACCES: 'Choose a port from 1024 up, or let this user listen on lower ones.',
  EADDRNOTAVAIL: 'Name an address of this machine, or 0.0.0.0 for all of them.',
}

function listenRefusal(error: unknown): FailureRecord | null {
  if (!isSystemError(error) || error.syscall !== 'listen') return null
  const where = hostPort(error.address ?? '', error.port ?? 0)
  const why =
    error.code === 'EADDRINUSE' ? 'another program listens there' : error.message.replace(/^listen /, '').toLowerCase()
  const remedy = listenRemedies[error.code]
  return failureRecord('cannot_start', `Nothing can be served at ${where}: ${why}.`, remedy ? { remedy } : {})
}

/** Codes of the driver and of PostgreSQL (appendix A of its manual). */
const databaseRemedies: readonly (readonly [RegExp, string])[] = [
  [/^(ECONN|ENOENT|ENOTFOUND|EAI_|ETIMEDOUT|EHOST|ENET)/, 'Start that server or correct DATABASE_URL'],
  [/^28/, 'Correct user and password in DATABASE_URL, or let the server accept them in its pg_hba.conf'],
  [/^3D000$/, 'Create that database with `createdb`, or name another one in DATABASE_URL'],
  [/^42501$/, 'Make the user of DATABASE_URL the owner of that database, so that it may make tables there'],
  [/^old_server$/, 'Renew that server, or name one of PostgreSQL 14 or newer in DATABASE_URL'],
  [/^53300$/, 'Raise max_connections of that server, or lower poolSize in the configuration'],
]

/** `where` names the server without what is secret in its address. */
export function databaseRefusal(error: unknown, where: string): Failure {
  if (error instanceof Failure) return error
  // A host with several addresses fails with one error for each, and says nothing itself.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  const code = isSystemError(first) ? first.code : ''
  const remedy =
    databaseRemedies.find(([codes]) => codes.test(code))?.[1] ?? 'Mend what is named, or correct DATABASE_URL'
  return new Failure('cannot_start', `${where} cannot be used: ${messageOf(first)}.`, {
    remedy: `${remedy}; unset it to use the embedded PostgreSQL.`,
  })
}

const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/\.$/, '') || 'no reason was given'
