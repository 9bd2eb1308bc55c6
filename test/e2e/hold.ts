import type { LaunchState } from '../../src/core/launch-table.ts'
import type { NodeState } from '../../src/core/node-table.ts'
import { openStore, type Store } from '../../src/store/database.ts'
import { query } from '../../src/store/test-database.ts'

/** A state of one of the two tables. */
export type Held = readonly ['launches', LaunchState] | readonly ['nodes', NodeState]

const triggers = `
create table held (kind text, state text);
create function hold_here() returns trigger language plpgsql as $$
begin
  if (tg_op = 'INSERT' or old.state is distinct from new.state)
    and exists (select from held where kind = tg_table_name and state = new.state) then
    update install set paused = true, paused_by = 'a test', paused_reason = 'held';
  end if;
  return null;
end $$;
create trigger held after insert or update of state on launches for each row execute function hold_here();
create trigger held after insert or update of state on nodes for each row execute function hold_here();
create function join_later() returns trigger language plpgsql as $$
begin
  if exists (select from held where kind = 'nodes' and state = 'booting') then
    raise exception 'a test lets no agent join before its machine was seen';
  end if;
  return new;
end $$;
create trigger join_later before update of joined_at on nodes for each row execute function join_later();`

const heldWithinMs = 60_000

/**
 * Holds states that last for milliseconds: the write that brings a row into the state pauses all automation in the same
 * transaction, so no loop begins another pass. What that write's own pass still asks of the world is under way.
 */
export class Hold {
  readonly #url: string
  readonly #store: Store

  private constructor(url: string, store: Store) {
    this.#url = url
    this.#store = store
  }

  /** On a database in which a control plane has made its tables. */
  static async on(url: string): Promise<Hold> {
    await query({ url }, triggers)
    return new Hold(url, await openStore({ url }, 2))
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  /** From now on, for whatever comes to the state. */
  async at([kind, state]: Held): Promise<void> {
    await query({ url: this.#url }, `truncate held; insert into held values ('${kind}', '${state}')`)
  }

  async lift(): Promise<void> {
    await query({ url: this.#url }, 'truncate held')
  }

  /** Returns as soon as something is held; asks without a rest, since what it waits for is soon over. */
  async holds(): Promise<void> {
    for (const end = Date.now() + heldWithinMs; Date.now() < end; ) {
      const { paused } = await this.#store.db.selectFrom('install').select('paused').executeTakeFirstOrThrow()
      if (paused) return
    }
    throw new Error('nothing came to the state that is to be held')
  }

  /** As it is kept now, of the launch or of its latest node; also while no control plane runs. */
  async stateOf(kind: Held[0], launchId: string): Promise<string | undefined> {
    const { db } = this.#store
    if (kind === 'launches')
      return (await db.selectFrom('launches').select('state').where('id', '=', launchId).executeTakeFirst())?.state
    const nodes = db.selectFrom('nodes').select('state').where('launch_id', '=', launchId)
    return (await nodes.orderBy('created_at', 'desc').executeTakeFirst())?.state
  }
}
