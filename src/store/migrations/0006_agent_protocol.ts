import { type Kysely, sql } from 'kysely'

/** Which protocol each node's agent speaks. Agents that joined before it was said spoke the first. */
export const agentProtocolColumn = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table nodes add column agent_protocol integer`.execute(db)
    await sql`update nodes set agent_protocol = 1 where joined_at is not null`.execute(db)
  },
}
