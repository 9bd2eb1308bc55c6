const msPerHour = 3_600_000

/** Integer micro-dollars for `ms` at an hourly price in micro-dollars, rounded half up. */
export function costMicroUsd(pricePerHourMicroUsd: number, ms: number): number {
  return Math.round((pricePerHourMicroUsd * Math.max(0, ms)) / msPerHour)
}

/** Dollars as people write them in a configuration, as integer micro-dollars. */
export const microUsdOf = (usd: number): number => Math.round(usd * 1_000_000)

/** `$1.2345`: four digits below a dollar's cent matter for minutes of a GPU. */
export function formatUsd(microUsd: number): string {
  const sign = microUsd < 0 ? '-' : ''
  return `${sign}$${(Math.abs(microUsd) / 1_000_000).toFixed(4)}`
}
