import { useState } from 'react'
import { useAct } from '../api/acting.ts'
import { useRead } from '../api/reading.ts'
import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { TextField } from '../parts/field.tsx'
import { Problem } from '../parts/problem.tsx'
import { ShownOnce } from '../parts/shown-once.tsx'
import { whyNotName } from '../words/given-name.ts'
import look from './keys.module.css'

/** Makes an API key, for all models or for some, and shows it once. */
export function MakeKey({ onClose }: { readonly onClose: () => void }) {
  const [name, setName] = useState('')
  const [models, setModels] = useState<ReadonlySet<string>>(new Set())
  const [pressed, setPressed] = useState(false)
  const [key, setKey] = useState<string | null>(null)
  const create = useAct('createKey')
  const submit = async () => {
    setPressed(true)
    if (whyNotName(name) !== null) return
    const made = await create.run({ body: { name, models: models.size === 0 ? null : [...models] } })
    if (made) setKey(made.key)
  }
  const close = () => {
    create.reset()
    onClose()
  }
  if (key !== null)
    return (
      <ShownOnce title={`The key ${name}`} secret={key} onClose={close}>
        Only its hash is kept. Clients send it as <code>Authorization: Bearer</code>, or as the API key of an OpenAI
        client.
      </ShownOnce>
    )
  return (
    <Dialog
      title="Make an API key"
      onClose={close}
      onSubmit={() => void submit()}
      actions={
        <>
          <Button onPress={close}>Leave it</Button>
          <Button type="submit" look="main" act="createKey" busy={create.isRunning}>
            Make the key
          </Button>
        </>
      }
    >
      <TextField
        label="Name"
        value={name}
        onChange={setName}
        hint="Who or what will use it"
        wrong={pressed ? whyNotName(name) : null}
        autoFocus
      />
      <Models chosen={models} onChange={setModels} />
      <Problem of={create.failure} />
    </Dialog>
  )
}

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
