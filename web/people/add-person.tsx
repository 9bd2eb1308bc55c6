import { useState } from 'react'
import { type Role, roles } from '../../src/core/tokens.ts'
import { useAct } from '../api/acting.ts'
import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Choice, TextField } from '../parts/field.tsx'
import { Problem } from '../parts/problem.tsx'
import { ShownOnce } from '../parts/shown-once.tsx'
import { whyNotName } from '../words/given-name.ts'

/** What each role may do, in a few words. */
export const roleWords: Readonly<Record<Role, string>> = {
  viewer: 'sees everything but people, secrets and the audit',
  operator: 'also launches, ends and scales, and makes API keys',
  admin: 'also manages people and secrets, reads the audit and pauses automation',
}

/** Adds a person and shows their token once. */
export function AddPerson({ onClose }: { readonly onClose: () => void }) {
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('viewer')
  const [pressed, setPressed] = useState(false)
  const [token, setToken] = useState<string | null>(null)
  const create = useAct('createOperator')
  const submit = async () => {
    setPressed(true)
    if (whyNotName(name) !== null) return
    const made = await create.run({ body: { name, role } })
    if (made) setToken(made.token)
  }
  const close = () => {
    create.reset()
    onClose()
  }
  if (token !== null)
    return (
      <ShownOnce title={`The token of ${name}`} secret={token} onClose={close}>
        Give it to {name} in a safe way: who has it may do all that a person with the role {role} may.
      </ShownOnce>
    )
  return (
    <Dialog
      title="Add a person"
      onClose={close}
      onSubmit={() => void submit()}
      actions={
        <>
          <Button onPress={close}>Leave it</Button>
          <Button type="submit" look="main" act="createOperator" busy={create.isRunning}>
            Add
          </Button>
        </>
      }
    >
      <TextField
        label="Name"
        value={name}
        onChange={setName}
        hint="Shown with everything that they change; never given to somebody else again"
        wrong={pressed ? whyNotName(name) : null}
        autoFocus
      />
      <Choice
        label="Role"
        value={role}
        options={roles.map((one) => ({ value: one, text: `${one}: ${roleWords[one]}` }))}
        onChange={setRole}
      />
      <Problem of={create.failure} />
    </Dialog>
  )
}
