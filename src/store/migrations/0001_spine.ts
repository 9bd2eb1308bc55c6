// The tables and what they promise, one file for each change, in order; a landed one is never edited.
// Deliberately absent: data of an install, and any step back: restore a backup instead.

import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** As they were on that day, not as the tables in core are now: a word that is new there comes by a migration of its own. */
const roles = ['viewer', 'operator', 'admin']
const launchOutcomes = ['ended', 'failed', 'cancelled', 'timed_out']
const launchStates = ['queued', 'attempting', 'backing_off', 'live', 'ending', ...launchOutcomes]
const nodeStates = ['intended', 'requesting', 'booting', 'loading', 'ready', 'draining', 'releasing', 'gone']
const verdicts = ['healthy', 'degraded', 'suspect', 'dead', 'unknown']
const duties = ['starting', 'serving', 'ending']

const oneOf = (column: string, values: readonly string[]) =>
  `check (${column} in (${values.map((value) => `'${value}'`).join(', ')}))`

const who = `
create table install (
  id text primary key, created_at timestamptz not null, key_check text not null,
  paused boolean not null default false, paused_reason text, paused_by text,
  sweep_armed boolean not null default false, guard text
);
create table tenants (id text primary key, name text not null unique, created_at timestamptz not null);
create table operators (
  id text primary key, tenant_id text not null references tenants, name text not null unique,
  role text not null ${oneOf('role', roles)}, token_hash text not null unique, last4 text not null,
  created_at timestamptz not null, disabled_at timestamptz
);
create table api_keys (
  id text primary key, tenant_id text not null references tenants, name text not null, key_hash text not null unique,
  last4 text not null, models text[], created_by text not null, created_at timestamptz not null, revoked_at timestamptz
);
create unique index api_keys_living_name on api_keys (tenant_id, name) where revoked_at is null;
create table secrets (
  name text primary key, tenant_id text not null references tenants, sealed bytea not null, created_at timestamptz not null
);
create table audit (
  id bigint generated always as identity primary key, at timestamptz not null, who text not null, action text not null,
  target text not null, detail jsonb not null, address text, previous_hash text not null, hash text not null
);
create table gateways (
  id text primary key, url text not null, started_at timestamptz not null, seen_at timestamptz not null, table_version text
);`

const wanted = `
create table deployments (
  id text primary key, tenant_id text not null references tenants, name text not null, model text not null,
  engine text not null, engine_args jsonb not null, wish jsonb not null, wanted integer not null check (wanted >= 0),
  paused boolean not null default false, failures_in_a_row integer not null default 0, last_failure_at timestamptz,
  created_by text not null, created_at timestamptz not null, unique (tenant_id, name)
);
create index deployments_by_model on deployments (model);
create table slots (
  id text primary key, deployment_id text not null references deployments, ordinal integer not null,
  unique (deployment_id, ordinal)
);
create table launches (
  id text primary key, tenant_id text not null references tenants, deployment_id text not null references deployments,
  slot_id text not null references slots, holds_slot boolean not null default true,
  state text not null ${oneOf('state', launchStates)}, state_since timestamptz not null,
  outcome text ${oneOf('outcome', launchOutcomes)}, origin text not null ${oneOf('origin', ['hand', 'deployment'])},
  requested_by text not null, idempotency_key text, request_hash text,
  wish jsonb not null, offers jsonb not null, created_at timestamptz not null, deadline_at timestamptz not null,
  unwanted_at timestamptz, unwanted_outcome text ${oneOf('unwanted_outcome', ['cancelled', 'ended'])}, unwanted_by text,
  live_at timestamptz, ended_at timestamptz, failure jsonb
);
-- One holder for each slot: two loops, two servers, a hand and a loop cannot start the same replica twice.
create unique index launches_one_holder on launches (slot_id) where holds_slot;
create unique index launches_idempotency on launches (tenant_id, requested_by, idempotency_key) where idempotency_key is not null;
create index launches_by_state on launches (state, created_at);
create index launches_by_deployment on launches (deployment_id, created_at);
create index launches_by_creation on launches (created_at, id);`

const machines = `
create table nodes (
  id text primary key, name text not null unique, tenant_id text not null references tenants,
  launch_id text not null references launches, deployment_id text not null references deployments,
  state text not null ${oneOf('state', nodeStates)}, state_since timestamptz not null,
  cloud text not null, region text not null, offer jsonb not null, price_per_hour_micro_usd bigint not null,
  created_at timestamptz not null, asked_at timestamptz, ask_open boolean not null default false, refusal jsonb,
  first_seen_at timestamptz, joined_at timestamptz, answered_at timestamptz, ready_at timestamptz, gone_at timestamptz,
  unwanted_at timestamptz, unwanted_by text, drain_asked_at timestamptz, drain_deadline_at timestamptz, drained_at timestamptz,
  failure jsonb, verdict text not null default 'unknown' ${oneOf('verdict', verdicts)}, verdict_row text, verdict_since timestamptz,
  join_token_hash text not null, join_token_until timestamptz not null, join_used_at timestamptz, join_instance text,
  credential_hash text unique, incarnation text, instance_type text, spot boolean not null, hostname text,
  gpus jsonb not null default '[]', cpus integer, memory_mib integer, addresses text[] not null default '{}',
  agent_version text, engine_version text
);
create index nodes_by_state on nodes (state, created_at);
create index nodes_by_deployment on nodes (deployment_id, state);
create index nodes_by_launch on nodes (launch_id);
create index nodes_living on nodes (cloud) where state <> 'gone';
create table attempts (
  id text primary key, launch_id text not null references launches, node_id text not null unique references nodes,
  ordinal integer not null, offer jsonb not null, opened_at timestamptz not null, closed_at timestamptz,
  outcome text ${oneOf('outcome', ['served', 'failed', 'withdrawn'])}, failure jsonb, unique (launch_id, ordinal)
);
create table phases (
  attempt_id text not null references attempts, phase text not null, started_at timestamptz not null,
  ended_at timestamptz, percent real, primary key (attempt_id, phase)
);
-- Written every few seconds for each node, so kept apart from the node's own row.
create table signals (
  node_id text primary key references nodes, heard_at timestamptz, heartbeat jsonb,
  in_flight integer not null default 0, busy_ms bigint not null default 0, requests bigint not null default 0,
  spare_sockets integer not null default 0, probe_at timestamptz, probe_good boolean, probe_detail text
) with (fillfactor = 60);
-- What each cloud offered last; and its last bulk look, and what it said of each name; absent_since is the first "not there" in a row.
create table offers (id text primary key, cloud text not null, data jsonb not null, seen_at timestamptz not null);
create table looks (cloud text primary key, started_at timestamptz, finished_at timestamptz, error text);
create table sightings (
  name text primary key, cloud text not null, seen text not null ${oneOf('seen', ['present', 'absent'])},
  at timestamptz not null, absent_since timestamptz, detail jsonb
);
create table orphans (
  name text primary key, cloud text not null, first_seen_at timestamptz not null, last_seen_at timestamptz not null,
  price_per_hour_micro_usd bigint, released_at timestamptz, gone_at timestamptz
);`

const told = `
create table events (
  id bigint generated always as identity primary key, at timestamptz not null, kind text not null, text text not null,
  launch_id text, node_id text, deployment_id text, data jsonb
);
create index events_by_launch on events (launch_id, id);
create index events_by_node on events (node_id, id);
create table log_lines (
  node_id text not null references nodes, n bigint not null, at timestamptz not null, source text not null, text text not null,
  primary key (node_id, n)
);
create table ledger (
  id bigint generated always as identity primary key, node_id text not null references nodes,
  launch_id text not null, deployment_id text not null, tenant_id text not null, requested_by text not null,
  cloud text not null, region text not null, instance_type text, spot boolean not null,
  kind text not null default 'usage' ${oneOf('kind', ['usage', 'correction'])},
  duty text not null ${oneOf('duty', duties)}, price_per_hour_micro_usd bigint not null,
  opened_at timestamptz not null, closed_at timestamptz, amount_micro_usd bigint, note text,
  check (closed_at is null or closed_at >= opened_at)
);
create unique index ledger_one_open on ledger (node_id) where closed_at is null and kind = 'usage';
create index ledger_by_time on ledger (opened_at);
create index ledger_by_node on ledger (node_id, opened_at);
create table usage_minutes (
  minute timestamptz not null, key_id text not null, node_id text not null, model text not null,
  requests bigint not null, failed_requests bigint not null, aborted_requests bigint not null,
  prompt_tokens bigint not null, completion_tokens bigint not null, estimated_tokens bigint not null,
  duration_ms bigint not null, primary key (minute, key_id, node_id, model)
);
create table usage_batches (gateway_id text not null, batch bigint not null, at timestamptz not null, primary key (gateway_id, batch));`

const loops = `
create sequence claim_tokens;
create table claims (
  loop text not null, row_id text not null, due_at timestamptz not null, token bigint, until timestamptz, holder text,
  realm text,
  primary key (loop, row_id)
) with (fillfactor = 60);
create index claims_due on claims (loop, due_at);
create table passes (
  server text not null, loop text not null, at timestamptz not null, took_ms real not null, moved integer not null,
  every_ms integer not null, error text, primary key (server, loop)
);`

// Readers of live views, loops and gateways are told by the database itself, so that no writer can forget to.
const tells = `
create function flightdeck_tell() returns trigger language plpgsql as $$
declare row record := coalesce(new, old);
begin
  if tg_table_name = 'phases' then
    perform pg_notify('flightdeck', 'launch:' || (select launch_id from attempts where id = row.attempt_id));
  elsif tg_table_name = 'nodes' then
    perform pg_notify('flightdeck', 'node:' || row.id);
    perform pg_notify('flightdeck', 'launch:' || row.launch_id);
    perform pg_notify('flightdeck', 'routes');
  elsif tg_table_name = 'attempts' then
    perform pg_notify('flightdeck', 'launch:' || row.launch_id);
  elsif tg_table_name = 'api_keys' then
    perform pg_notify('flightdeck', 'routes');
  elsif tg_table_name = 'install' then
    perform pg_notify('flightdeck', 'status');
  else
    perform pg_notify('flightdeck', tg_argv[0] || ':' || row.id);
  end if;
  return null;
end $$;
create trigger tell after insert or update on launches for each row execute function flightdeck_tell('launch');
create trigger tell after insert or update on nodes for each row execute function flightdeck_tell();
create trigger tell after insert or update on phases for each row execute function flightdeck_tell();
create trigger tell after insert or update on attempts for each row execute function flightdeck_tell();
create trigger tell after insert or update on deployments for each row execute function flightdeck_tell('deployment');
create trigger tell after insert or update or delete on api_keys for each row execute function flightdeck_tell();
create trigger tell after update on install for each row execute function flightdeck_tell();
create function flightdeck_tell_lines() returns trigger language plpgsql as $$
begin
  perform pg_notify('flightdeck', 'log:' || node_id) from (select distinct node_id from fresh) f;
  return null;
end $$;
create trigger tell after insert on log_lines referencing new table as fresh
  for each statement execute function flightdeck_tell_lines();`

export const spine = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const part of [who, wanted, machines, told, loops, tells]) await sql.raw(part).execute(db)
  },
}
