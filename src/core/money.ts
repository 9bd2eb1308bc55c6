const msPerHour = 3_600_000

/** 365 days by 24 hours by a twelfth, as clouds count a month. */
export const hoursPerMonth = 730

/** Integer micro-dollars for `ms` at an hourly price in micro-dollars, rounded half up. */
export function costMicroUsd(pricePerHourMicroUsd: number, ms: number): number {
  return Math.round((pricePerHourMicroUsd * Math.max(0, ms)) / msPerHour)
}

/** Dollars as people write them in a configuration, as integer micro-dollars. */
export const microUsdOf = (usd: number): number => Math.round(usd * 1_000_000)

/** `$1.2345`: digits below a cent matter for minutes of a GPU, and not from a hundred dollars up. */
export function formatUsd(microUsd: number): string {
  const sign = microUsd < 0 ? '-' : ''
  const usd = Math.abs(microUsd) / 1_000_000
  return `${sign}$${usd.toFixed(usd < 100 ? 4 : 2)}`
}

/** What one replica costs, and all of them. */
export function pricesOf(pricePerHourMicroUsd: number, replicas: number) {
  return {
    pricePerHourMicroUsd,
    pricePerMonthMicroUsd: pricePerHourMicroUsd * hoursPerMonth,
    totalPerHourMicroUsd: pricePerHourMicroUsd * replicas,
    totalPerMonthMicroUsd: pricePerHourMicroUsd * replicas * hoursPerMonth,
  }
}
