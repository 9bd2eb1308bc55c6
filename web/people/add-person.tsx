import { useState } from 'react'
import { type Role, roles } from '../../src/core/tokens.ts'
import { useAct } from '../api/acting.ts'
import { Choice } from '../parts/field.tsx'
import { MakeNamed } from '../parts/make-named.tsx'

/** What each role may do, in a few words. */
export const roleWords: Readonly<Record<Role, string>> = {
  viewer: 'sees everything but people, secrets and the audit',
  operator: 'also launches, ends and scales, and makes API keys',
  admin: 'also manages people and secrets, reads the audit and pauses automation',
}

/** Adds a person, who signs in with the token that is shown. */
export function AddPerson({ onClose }: { readonly onClose: () => void }) {
  const [role, setRole] = useState<Role>('viewer')
  const create = useAct('createOperator')
  return (
    <MakeNamed
      title="Add a person"
      verb="Add"
      act="createOperator"
      doing={create}
      hint="Shown with everything that they change; never given to somebody else again"
      make={async (name) => (await create.run({ body: { name, role } }))?.token}
      secretOf={(name) => ({
        title: `The token of ${name}`,
        words: `Give it to ${name} in a safe way: who has it may do all that a person with the role ${role} may.`,
      })}
      onClose={onClose}
    >
      <Choice
        label="Role"
        value={role}
        options={roles.map((one) => ({ value: one, text: `${one}: ${roleWords[one]}` }))}
        onChange={setRole}
      />
    </MakeNamed>
  )
}
