import { useState } from 'react'
import { useAct } from '../api/acting.ts'
import { useRead } from '../api/reading.ts'
import { MakeNamed } from '../parts/make-named.tsx'
import look from './keys.module.css'

/** Makes an API key, for all models or for some. */
export function MakeKey({ onClose }: { readonly onClose: () => void }) {
  const [models, setModels] = useState<ReadonlySet<string>>(new Set())
  const create = useAct('createKey')
  const make = async (name: string) =>
    (await create.run({ body: { name, models: models.size === 0 ? null : [...models] } }))?.key
  return (
    <MakeNamed
      title="Make an API key"
      verb="Make the key"
      act="createKey"
      doing={create}
      hint="Who or what will use it"
      make={make}
      secretOf={(name) => ({ title: `The key ${name}`, words: whatClientsDo })}
      onClose={onClose}
    >
      <Models chosen={models} onChange={setModels} />
    </MakeNamed>
  )
}

const whatClientsDo = (
  <>
    Only its hash is kept. Clients send it as <code>Authorization: Bearer</code>, or as the API key of an OpenAI client.
  </>
)

interface ModelsProps {
  readonly chosen: ReadonlySet<string>
  readonly onChange: (chosen: ReadonlySet<string>) => void
}

function Models({ chosen, onChange }: ModelsProps) {
  const models = useRead('listModels')
  const toggle = (name: string) => {
    const next = new Set(chosen)
    if (!next.delete(name)) next.add(name)
    onChange(next)
  }
  return (
    <fieldset className={look['models']}>
      <legend>Models</legend>
      <p className="soft">{chosen.size === 0 ? 'It opens all of them.' : `It opens ${chosen.size} of them.`}</p>
      {models.data?.items.map(({ name }) => (
        <label key={name}>
          <input type="checkbox" checked={chosen.has(name)} onChange={() => toggle(name)} /> {name}
        </label>
      ))}
    </fieldset>
  )
}
