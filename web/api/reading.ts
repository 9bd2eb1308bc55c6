import { QueryClient, type UseQueryResult, useQuery } from '@tanstack/react-query'
import type { Client } from '../../src/wire/client.ts'
import type { RouteName, routes } from '../../src/wire/routes.ts'
import { client, failureOf } from './client.ts'

type ReadName = { [N in RouteName]: (typeof routes)[N]['method'] extends 'GET' ? N : never }[RouteName]
type CallOf<N extends RouteName> = Parameters<Client[N]>[0]
export type ReplyOf<N extends RouteName> = Awaited<ReturnType<Client[N]>>

const shortestWaitMs = 500
const longestWaitMs = 10_000

/** What was read stays until something says that it changed: the live socket, or an act of ours. Nothing is polled. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 0,
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      retry: (_, error) => isPassing(error),
      retryDelay: (failures) => Math.min(longestWaitMs, shortestWaitMs * 2 ** failures) * (0.75 + Math.random() / 2),
    },
  },
})

/** No answer, or one that says that another may come: worth asking again. */
function isPassing(error: unknown): boolean {
  const { status } = failureOf(error)
  return status === 0 || status === 502 || status === 503 || status === 504
}

/** The key of one call; of all calls of a route where none is given. */
export const keyOf = <N extends ReadName>(name: N, call?: CallOf<N>): readonly unknown[] =>
  call === undefined ? [name] : [name, call]

/** Reads a route of the API: `useRead('listLaunches', { query: { state: 'queued' } })`. */
export function useRead<N extends ReadName>(
  name: N,
  call?: CallOf<N>,
  options: { readonly enabled?: boolean } = {},
): UseQueryResult<ReplyOf<N>> {
  return useQuery({
    queryKey: keyOf(name, call),
    queryFn: ({ signal }) => ask(name, call, signal),
    enabled: options.enabled ?? true,
  })
}

function ask<N extends ReadName>(name: N, call: CallOf<N> | undefined, signal: AbortSignal): Promise<ReplyOf<N>> {
  // The types follow from the contract by name, which the compiler cannot follow through a table.
  const method = client[name] as (call: unknown) => Promise<ReplyOf<N>>
  return method({ ...call, signal })
}
