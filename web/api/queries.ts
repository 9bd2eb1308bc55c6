import { QueryClient } from '@tanstack/react-query'
import type { RouteName } from '../../src/wire/routes.ts'
import { failureOf } from './client.ts'

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
export const keyOf = (name: RouteName, call?: unknown): readonly unknown[] =>
  call === undefined ? [name] : [name, call]

/** What the socket told is newer than an answer that is still on its way, which would overwrite it. */
export function hold(key: readonly unknown[], value: unknown): void {
  void queries.cancelQueries({ queryKey: key, exact: true })
  queries.setQueryData(key, value)
}
