import { z } from 'zod'

const microUsd = z.number().int()

/** Until when a node is kept for somebody to look at, should it be released; `isKept`: it would have been by now. */
export const holdView = z.object({
  until: z.iso.datetime(),
  by: z.string().max(128).nullable(),
  isKept: z.boolean(),
  pricePerHourMicroUsd: microUsd,
  /** What is paid from now until then, at most; what it cost until now is with the rest of the node. */
  costMicroUsd: microUsd,
})

/** How long it may be kept from now on, and what that costs at most. */
export const holdChoiceView = z.object({ forS: z.number().int().min(1), costMicroUsd: microUsd })
