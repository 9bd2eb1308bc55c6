import { costMicroUsd } from './money.ts'

// Guesses: to read what a node says, to try something on it, to have somebody come.
const usualS = [1_800, 3_600, 14_400] as const

export interface HoldChoice {
  readonly forS: number
  /** At most: it is paid for as long as it is kept. */
  readonly costMicroUsd: number
}

/** How long a machine may be kept to be looked at, the shortest first, and what each costs; none where nobody may. */
export function holdChoices(pricePerHourMicroUsd: number, limitS: number): HoldChoice[] {
  const times = usualS.filter((forS) => forS <= limitS)
  const allowed = times.length > 0 || limitS < 1 ? times : [limitS]
  return allowed.map((forS) => ({ forS, costMicroUsd: costMicroUsd(pricePerHourMicroUsd, forS * 1_000) }))
}
