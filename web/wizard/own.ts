import type { ModelView } from '../../src/wire/catalog.ts'
import { type LaunchRequest, ownEngines, ownModel } from '../../src/wire/routes.ts'
import { modelName } from '../../src/wire/views.ts'
import type { Draft } from './draft.ts'

type OwnModel = NonNullable<LaunchRequest['own']>
type OwnDraft = Pick<Draft, 'from' | 'model' | 'own' | 'engine' | 'name'>

/** What is launched, by the name that clients use; empty: nothing was chosen. */
export const modelOf = (draft: OwnDraft): string => (draft.from === 'own' ? ownName(draft) : draft.model)

/** As it was given, else after the last part of where the weights lie. */
export const ownName = ({ own, name }: Pick<OwnDraft, 'own' | 'name'>): string => name.trim() || nameAfter(own)

function nameAfter(source: string): string {
  const last = source.trim().split('/').filter(Boolean).at(-1) ?? ''
  return last
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63)
}

/** Where its weights lie and what loads them, as the API takes it; undefined of a model that is listed. */
export function ownOf({ from, own, engine }: OwnDraft): OwnModel | undefined {
  if (from !== 'own') return undefined
  return { source: own.trim(), engine: ownEngines.find((one) => one === engine) ?? 'vllm' }
}

/** Why it cannot be asked for, field by field, by the API's own rules; clients know a model by its name alone. */
export function wrongOwn(
  draft: Pick<OwnDraft, 'own' | 'name'>,
  listed: readonly Pick<ModelView, 'name' | 'source'>[] = [],
): Readonly<Partial<Record<'own' | 'name', string>>> {
  const source = draft.own.trim()
  const read = ownModel.safeParse({ source })
  if (!read.success) {
    const folder = isFolder(source) && 'A folder of a machine is served only where the configuration names it.'
    return { own: folder || `Write ${read.error.issues[0]?.message}.` }
  }
  const name = ownName(draft)
  const named = modelName.safeParse(name)
  if (!named.success) return { name: `Use ${named.error.issues[0]?.message}.` }
  const other = listed.find((one) => one.name === name && one.source !== source)
  return other ? { name: `"${name}" is ${other.source} already. Give this one another name.` } : {}
}

export const isFolder = (source: string): boolean => /^\/./.test(source.trim())

/** The entry of the configuration that makes a folder of a machine launchable. */
export const configurationOf = ({ own, engine, name }: Pick<OwnDraft, 'own' | 'engine' | 'name'>) => ({
  name: ownName({ own, name }),
  engine,
  source: own.trim(),
})
