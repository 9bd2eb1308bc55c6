import { z } from 'zod'
import { signalValues } from '../core/verdict-table.ts'

const time = z.iso.datetime()

const signalView = z.object({
  value: z.enum(signalValues),
  /** Of the last word. */
  at: time.nullable(),
  /** Since when it says that; null: it never spoke, or that was not kept. */
  since: time.nullable(),
  detail: z.string().max(500).nullable(),
})

/** What the three witnesses say. */
export const signalsView = z.object({ heartbeat: signalView, probe: signalView, sighting: signalView })
