import pg from 'pg'
import { hostPort } from '../lib/host.ts'
import { EmbeddedError } from './embedded-error.ts'

export type DatabaseChoice = { explanation: string } & (
  | { kind: 'url'; url: string; where: string }
  | { kind: 'embedded'; dataDir: string }
)

/** Which database this install uses, and one line that says why. The line never holds a password. */
export function chooseDatabase(env: Record<string, string | undefined>, dataDir: string): DatabaseChoice {
  const url = env.DATABASE_URL?.trim()
  if (!url) {
    const explanation = `Database: the embedded PostgreSQL in ${dataDir}, because DATABASE_URL is not set.`
    return { kind: 'embedded', dataDir, explanation }
  }
  if (!/^(postgres|postgresql|socket):/.test(url)) {
    throw new EmbeddedError(
      'bad_url',
      'DATABASE_URL is set, but it is not the address of a PostgreSQL server.',
      'Write it as postgres://user:password@host:5432/database, or unset it to use the embedded PostgreSQL.',
    )
  }
  // A bare slash in a password ends what the driver takes for the host, and the rest of it would be shown as a database.
  if (/^[a-z]+:\/\/[^/?#]*[/?#][^=]*@/.test(url)) {
    throw new EmbeddedError(
      'bad_url',
      'DATABASE_URL cannot be read: it has an @ behind what should be its host.',
      'Write /, ?, # and @ in its user and password as %2F, %3F, %23 and %40.',
    )
  }
  const where = describe(url)
  return { kind: 'url', url, where, explanation: `Database: ${where}, because DATABASE_URL is set.` }
}

/** Host, port and database only, as the driver reads them: everything else in the address may be a secret. */
function describe(url: string): string {
  try {
    const { host, port, database } = new pg.Client({ connectionString: url })
    const where = host.startsWith('/') ? `the socket in ${host}` : hostPort(host, port)
    return `PostgreSQL at ${where}${database ? `, database ${database}` : ''}`
  } catch {
    // Its certificate may not be there, say: the start fails with the driver's own word for it.
    return 'the PostgreSQL that DATABASE_URL names'
  }
}
