import { useEffect } from 'react'
import { isRoutable } from '../../src/core/verdict-table.ts'
import { keyOf, queries } from '../api/queries.ts'
import { useRead } from '../api/reading.ts'
import { useFleet } from './fleet.ts'

/** The models with how many ready nodes each has, read again whenever a node becomes ready or is no longer. */
export function useModels() {
  const ready = useFleet()
    ?.filter(({ state, verdict }) => state === 'ready' && isRoutable(verdict))
    .map(({ id }) => id)
    .join()
  // biome-ignore lint/correctness/useExhaustiveDependencies: which nodes are ready is what it hangs on.
  useEffect(() => void queries.invalidateQueries({ queryKey: keyOf('listModels') }), [ready])
  return useRead('listModels')
}
