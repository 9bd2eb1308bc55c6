import type { Billed } from '../../src/core/machine-table.ts'

const cents = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' })
const fine = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD', maximumFractionDigits: 4 })

/** `$1.89`, `$0.0125`, `$1,380.00`: what is below a cent counts for minutes of a GPU, and not from a hundred dollars up. */
export function usd(microUsd: number): string {
  return (Math.abs(microUsd) < 100_000_000 ? fine : cents).format(microUsd / 1_000_000)
}

export const usdPerHour = (microUsd: number): string => `${usd(microUsd)} / h`

/** `$1.89 / h to $2.49 / h`; one price where all are the same. */
export function rangePerHour(prices: readonly number[]): string {
  const [least, most] = [Math.min(...prices), Math.max(...prices)]
  return least === most ? usdPerHour(least) : `${usdPerHour(least)} to ${usdPerHour(most)}`
}

export const billedWords: Readonly<Record<Billed, string>> = {
  yes: 'billed',
  unknown: 'maybe billed',
  no: 'not billed',
}
