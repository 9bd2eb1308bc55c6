import type { OwnModel } from '../core/engine-command.ts'
import { Failure, type FailureRecord, failureRecord } from '../core/failure.ts'
import type { Db, Tx } from '../store/database.ts'
import { lockModelName, otherSourceOf, ownModelNamed } from '../store/model-source.ts'
import type { Actor, CommandDeps } from './context.ts'

interface Asked {
  readonly model: string
  readonly own?: OwnModel | undefined
}

/**
 * What is launched under a name: what the request says, else what the configuration says (null), else what a deployment of
 * that name runs. @throws Failure `name_taken` where the configuration has the name for something else.
 */
export async function ownModelOf(
  { settings, store }: CommandDeps,
  { tenantId }: Actor,
  { model, own }: Asked,
): Promise<OwnModel | null> {
  const configured = settings.models.find(({ name }) => name === model)
  if (own && configured) {
    const cause = `The configuration names "${model}": it is ${configured.source}.`
    const remedy = 'Launch it without a source, or give yours another name.'
    throw new Failure('name_taken', cause, { remedy }, { fields: [{ field: 'body.model', must: 'be another name' }] })
  }
  if (own || configured) return own ?? null
  return ownModelNamed(store.db, tenantId, model)
}

interface Known {
  readonly model: string
  readonly own: OwnModel | null
}

/** Clients know a model by its name alone: why it cannot be had, where a deployment runs other weights under it. */
export async function whyOtherSource(db: Db | Tx, { model, own }: Known): Promise<FailureRecord | null> {
  const other = own && (await otherSourceOf(db, model, own.source))
  if (!other) return null
  const cause = `The deployment "${other.deployment}" serves ${other.source} as "${model}".`
  const remedy = 'Give yours another name: clients would get answers of both.'
  return failureRecord('name_taken', cause, { remedy })
}

/** Holds the name until the transaction ends. @throws Failure `name_taken` as `whyOtherSource`. */
export async function refuseOtherSource(tx: Tx, { model, own }: Known): Promise<void> {
  if (own) await lockModelName(tx, model)
  const why = await whyOtherSource(tx, { model, own })
  if (why)
    throw new Failure('name_taken', why.cause, why, { fields: [{ field: 'body.model', must: 'be another name' }] })
}
