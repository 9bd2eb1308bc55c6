import type { OwnModel } from '../core/engine-command.ts'
import { Failure } from '../core/failure.ts'
import type { Tx } from '../store/database.ts'
import { otherSourceOf, ownModelNamed } from '../store/model-source.ts'
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

/** Clients know a model by its name alone. @throws Failure `name_taken` where a deployment runs other weights under it. */
export async function refuseOtherSource(
  tx: Tx,
  { model, own }: { model: string; own: OwnModel | null },
): Promise<void> {
  const other = own && (await otherSourceOf(tx, model, own.source))
  if (!other) return
  const cause = `The deployment "${other.deployment}" serves ${other.source} as "${model}".`
  const remedy = 'Give yours another name: clients would get answers of both.'
  throw new Failure('name_taken', cause, { remedy }, { fields: [{ field: 'body.model', must: 'be another name' }] })
}
