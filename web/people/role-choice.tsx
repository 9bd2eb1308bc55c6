import { type Role, roles } from '../../src/core/tokens.ts'
import { Choice } from '../parts/field.tsx'

/** What each role may do, in a few words. */
export const roleWords: Readonly<Record<Role, string>> = {
  viewer: 'sees everything but people, secrets and the audit',
  operator: 'also launches, ends and scales, and makes API keys',
  admin: 'also manages people and secrets, reads the audit and pauses automation',
}

interface RoleChoiceProps {
  readonly value: Role
  readonly onChange: (role: Role) => void
}

export function RoleChoice({ value, onChange }: RoleChoiceProps) {
  return (
    <Choice
      label="Role"
      value={value}
      options={roles.map((one) => ({ value: one, text: `${one}: ${roleWords[one]}` }))}
      onChange={onChange}
    />
  )
}
