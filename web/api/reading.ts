import { type UseQueryResult, useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import type { Client } from '../../src/wire/client.ts'
import type { RouteName, routes } from '../../src/wire/routes.ts'
import { feed } from '../live/feeding.ts'
import { client } from './client.ts'
import { keyOf } from './queries.ts'

/** A plan is asked for with POST, and changes nothing. */
type ReadName = 'plan' | { [N in RouteName]: (typeof routes)[N]['method'] extends 'GET' ? N : never }[RouteName]
type CallOf<N extends RouteName> = Parameters<Client[N]>[0]
export type ReplyOf<N extends RouteName> = Awaited<ReturnType<Client[N]>>

/** Reads a route of the API, and is told of each change: `useRead('listLaunches', { query: { state: 'queued' } })`. */
export function useRead<N extends ReadName>(
  name: N,
  call?: CallOf<N>,
  options: { readonly enabled?: boolean } = {},
): UseQueryResult<ReplyOf<N>> {
  const enabled = options.enabled ?? true
  const id = (call as { params?: { id: string } } | undefined)?.params?.id
  useEffect(() => (enabled ? feed(name, id) : undefined), [name, id, enabled])
  return useQuery({
    queryKey: keyOf(name, call),
    queryFn: ({ signal }) => ask(name, call, signal),
    enabled,
  })
}

function ask<N extends ReadName>(name: N, call: CallOf<N> | undefined, signal: AbortSignal): Promise<ReplyOf<N>> {
  // The types follow from the contract by name, which the compiler cannot follow through a table.
  const method = client[name] as (call: unknown) => Promise<ReplyOf<N>>
  return method({ ...call, signal })
}
