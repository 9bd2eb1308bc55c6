import type { Vault } from '../lib/vault.ts'
import type { Db } from './database.ts'

const label = 'authority'

/** What is kept is text to this folder: certificate and key of the authority that every control plane of the install shares. */
export interface KeptAuthority {
  readonly cert: string
  readonly key: string
}

/** The install's own authority, made on first use. Of several servers that make one at the same time, one is kept. */
export async function ensureAuthority(db: Db, vault: Vault, make: () => KeptAuthority): Promise<KeptAuthority> {
  const kept = await load(db, vault)
  if (kept) return kept
  await db
    .updateTable('install')
    .set({ authority: vault.seal(label, JSON.stringify(make())) })
    .where('authority', 'is', null)
    .execute()
  const saved = await load(db, vault)
  if (!saved) throw new Error('The data set has no row of the install yet.')
  return saved
}

async function load(db: Db, vault: Vault): Promise<KeptAuthority | null> {
  const row = await db.selectFrom('install').select('authority').executeTakeFirst()
  return row?.authority ? (JSON.parse(vault.open(label, row.authority)) as KeptAuthority) : null
}
