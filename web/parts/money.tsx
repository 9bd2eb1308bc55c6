import { usd, usdPerHour } from '../words/money.ts'

/** An amount as the API gave it; `perHour`: a price. */
export function Money({ microUsd, perHour = false }: { readonly microUsd: number; readonly perHour?: boolean }) {
  return <data value={microUsd}>{perHour ? usdPerHour(microUsd) : usd(microUsd)}</data>
}
