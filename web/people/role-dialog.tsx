import { useState } from 'react'
import type { Role } from '../../src/core/tokens.ts'
import type { OperatorView } from '../../src/wire/views.ts'
import { useAct } from '../api/acting.ts'
import { ActDialog } from '../parts/dialog.tsx'
import { RoleChoice } from './role-choice.tsx'

export interface RoleDialogProps {
  readonly of: OperatorView
  readonly isMe: boolean
  readonly onClose: () => void
}

/** Another role for a person, who keeps the token and stays signed in. */
export function RoleDialog({ of: { id, name, role: had }, isMe, onClose }: RoleDialogProps) {
  const [role, setRole] = useState<Role>(had)
  const change = useAct('changeRole')
  const submit = async () => {
    if (await change.run({ params: { id }, body: { role } })) onClose()
  }
  return (
    <ActDialog
      title={`The role of ${name}`}
      verb="Change"
      act="changeRole"
      doing={change}
      onSubmit={() => void submit()}
      onClose={onClose}
    >
      <RoleChoice value={role} onChange={setRole} />
      <p>
        {name} keeps the token and stays signed in; the role counts from the next thing that {name} does.
        {isMe && ' This is you: an admin who takes that role off cannot take it on again alone.'}
      </p>
    </ActDialog>
  )
}
