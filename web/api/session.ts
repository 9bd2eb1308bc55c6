import { useSyncExternalStore } from 'react'
import type { Role } from '../../src/core/tokens.ts'

export interface Person {
  readonly id: string
  readonly name: string
  readonly role: Role
}

export type SessionState =
  | { readonly kind: 'asking' }
  /** Nobody is signed in; `person`: who was, and whose page still stands behind the form. */
  | { readonly kind: 'out'; readonly person: Person | null }
  | { readonly kind: 'in'; readonly person: Person }

let state: SessionState = { kind: 'asking' }
const listeners = new Set<() => void>()

function become(next: SessionState): void {
  state = next
  for (const listener of listeners) listener()
}

/** Who is signed in, as the server last said. The cookie itself is out of reach of any script. */
export const session = {
  get state(): SessionState {
    return state
  },
  began: (person: Person): void => become({ kind: 'in', person }),
  ended(): void {
    if (state.kind !== 'out') become({ kind: 'out', person: state.kind === 'in' ? state.person : null })
  },
  /** By hand: nothing is kept of who it was. */
  left: (): void => become({ kind: 'out', person: null }),
  subscribe(listener: () => void): () => void {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}

export const useSession = (): SessionState => useSyncExternalStore(session.subscribe, () => session.state)

/** Who is signed in, or was and left a page open. */
export function usePerson(): Person | null {
  const current = useSession()
  return current.kind === 'asking' ? null : current.person
}
