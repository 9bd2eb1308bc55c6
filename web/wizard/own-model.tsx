import type { ModelView } from '../../src/wire/catalog.ts'
import { ownEngines } from '../../src/wire/routes.ts'
import { Button } from '../parts/button.tsx'
import { CopyText } from '../parts/copy.tsx'
import { Choice, TextField } from '../parts/field.tsx'
import { Panel } from '../parts/panel.tsx'
import { configurationOf, isFolder, ownName, ownOf, wrongOwn } from './own.ts'
import type { Drafting } from './use-draft.ts'
import look from './wizard.module.css'

export interface OwnModelProps {
  readonly models: readonly ModelView[]
  readonly drafting: Drafting
  readonly pick: (name: string) => void
}

/** A repository of the hub or a bucket, with the name that clients call it by; a folder of a machine is told how. */
export function OwnModel({ models, drafting, pick }: OwnModelProps) {
  const { draft, change, go } = drafting
  const own = draft.own.trim()
  const found = models.find(({ name, source }) => name === own || source === own)
  const wrong = own === '' ? {} : wrongOwn(draft, models)
  const blocked =
    own === '' ? 'say first where its weights lie' : wrong.own || wrong.name ? 'mend what is marked first' : null
  return (
    <Panel title="Another model" sub="from a hub or a bucket; nothing has to be configured">
      <div className="stack">
        <div className={look['form']}>
          <TextField
            label="Where its weights lie"
            hint="Of the hub: owner/name. Of a bucket: s3://, gs:// or az://, down to the folder."
            value={draft.own}
            onChange={(value) => change({ own: value, offer: '' })}
            placeholder="owner/name, s3://bucket/folder"
            wrong={found ? null : (wrong.own ?? null)}
          />
          <Choice
            label="Engine"
            value={ownOf({ ...draft, from: 'own' })?.engine ?? 'vllm'}
            options={ownEngines.map((name) => ({ value: name, text: name }))}
            onChange={(engine) => change({ engine, offer: '' })}
          />
          <TextField
            label="Name"
            hint={`What clients call it.${own === '' ? '' : ` Empty: ${ownName({ own, name: '' })}.`}`}
            value={draft.name}
            onChange={(name) => change({ name, offer: '' })}
            wrong={found ? null : (wrong.name ?? null)}
          />
        </div>
        {found ? (
          <p>
            It is in the list above, as{' '}
            <button type="button" className={look['pick']} onClick={() => pick(found.name)}>
              {found.name}
            </button>
            .
          </p>
        ) : (
          <div className="row">
            <Button blocked={blocked} onPress={() => go('configuration', { from: 'own', offer: '' })}>
              Take this one
            </Button>
          </div>
        )}
        {isFolder(own) && !found && <FolderEntry draft={draft} />}
      </div>
    </Panel>
  )
}

/** What makes a folder of a machine launchable. */
function FolderEntry({ draft }: Pick<Drafting, 'draft'>) {
  return (
    <div role="status" className="stack">
      <p>
        Put this into <code>models</code> of the configuration and start the install again; then it stands in the list
        above.
      </p>
      <CopyText text={JSON.stringify(configurationOf(draft))} label="Copy" />
    </div>
  )
}
