import { z } from 'zod'

const text = (max: number) => z.string().max(max)
const count = z.number().int().min(0)

export const loopView = z.object({
  loop: text(32),
  server: text(64),
  lastPassAt: z.iso.datetime().nullable(),
  tookMs: z.number().nullable(),
  moved: count.nullable(),
  everyMs: count,
  /** It leaves due rows alone, and no pause tells it to. */
  late: z.boolean(),
  /** It acts, and automation is paused. */
  paused: z.boolean(),
  error: text(2_000).nullable(),
})
