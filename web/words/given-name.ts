import { givenName } from '../../src/wire/views.ts'

/** Why a name cannot be given, in the words of the API's own rule; null where it can. */
export function whyNotName(name: string): string | null {
  if (name === '') return 'Give it a name.'
  const { success, error } = givenName.safeParse(name)
  return success ? null : `Use ${error.issues[0]?.message}.`
}
