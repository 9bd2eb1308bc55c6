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
  const where = describe(url)
  return { kind: 'url', url, where, explanation: `Database: ${where}, because DATABASE_URL is set.` }
}

/** Host, port and database only: everything else in the address may be a secret. */
function describe(url: string): string {
  if (!URL.canParse(url)) return 'the PostgreSQL that it names'
  const { host, pathname } = new URL(url)
  return `PostgreSQL at ${host || 'a local socket'}${url.startsWith('socket:') ? '' : pathname}`
}
