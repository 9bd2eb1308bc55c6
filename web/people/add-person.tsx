import { useState } from 'react'
import type { Role } from '../../src/core/tokens.ts'
import { useAct } from '../api/acting.ts'
import { MakeNamed } from '../parts/make-named.tsx'
import { RoleChoice } from './role-choice.tsx'

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
      <RoleChoice value={role} onChange={setRole} />
    </MakeNamed>
  )
}
