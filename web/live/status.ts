import type { StatusView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'

/** Loops, guard, pause and what everything costs, as it is now; null until it was first read. */
export const useStatus = (): StatusView | null => useRead('status').data ?? null
