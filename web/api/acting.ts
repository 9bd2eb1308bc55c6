import { useMutation } from '@tanstack/react-query'
import { useRef } from 'react'
import { mayAct, type Role, roles } from '../../src/core/tokens.ts'
import type { CallFailure, Client } from '../../src/wire/client.ts'
import { type RouteName, routes } from '../../src/wire/routes.ts'
import { client, failureOf } from './client.ts'
import { queries } from './queries.ts'
import type { ReplyOf } from './reading.ts'
import { usePerson } from './session.ts'

export type ActName = { [N in RouteName]: (typeof routes)[N]['method'] extends 'GET' ? never : N }[RouteName]
type CallOf<N extends RouteName> = Parameters<Client[N]>[0]

export interface Act<N extends ActName> {
  /** Resolves to the reply, or to undefined where it was refused: `failure` then says why. */
  run(call: CallOf<N>): Promise<ReplyOf<N> | undefined>
  readonly isRunning: boolean
  readonly failure: CallFailure | null
  readonly reset: () => void
}

/** Changes something through the API. What it changed is told by the live socket, or read again at once. */
export function useAct<N extends ActName>(name: N): Act<N> {
  const running = useRef(false)
  const mutation = useMutation({
    mutationFn: (call: CallOf<N>) => (client[name] as (call: unknown) => Promise<ReplyOf<N>>)(call),
    onSettled: () => queries.invalidateQueries(),
  })
  return {
    async run(call) {
      // A second click comes before the button is drawn as busy.
      if (running.current) return undefined
      running.current = true
      try {
        return await mutation.mutateAsync(call)
      } catch (error) {
        // It is shown from the state of the mutation.
        failureOf(error)
        return undefined
      } finally {
        running.current = false
      }
    },
    isRunning: mutation.isPending,
    failure: mutation.error === null ? null : failureOf(mutation.error),
    reset: mutation.reset,
  }
}

/** The role that a route asks for, or null where whoever is signed in has it. */
export function useMissingRole(name: RouteName | undefined): Role | null {
  const person = usePerson()
  const access = name && routes[name].access
  const needed = roles.find((role) => role === access)
  return needed && !(person && mayAct(person.role, needed)) ? needed : null
}
