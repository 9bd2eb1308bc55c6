const cents = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' })
const fine = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD', maximumFractionDigits: 4 })

/** `$1.89`, `$0.0125`, `$1,380.00`: what is below a cent counts for minutes of a GPU, and not from a hundred dollars up. */
export function usd(microUsd: number): string {
  return (Math.abs(microUsd) < 100_000_000 ? fine : cents).format(microUsd / 1_000_000)
}

export const usdPerHour = (microUsd: number): string => `${usd(microUsd)} / h`

const whole = new Intl.NumberFormat('en-US')

/** `18,240` */
export const count = (value: number): string => whole.format(value)
