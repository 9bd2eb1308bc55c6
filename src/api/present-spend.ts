import { type Duty, duties } from '../core/ledger.ts'
import type { SpendRow } from '../store/read-spend.ts'
import type { SpendView } from '../wire/spend-view.ts'
import { iso } from './present-time.ts'

export interface SpendScene {
  readonly from: number
  readonly to: number
  readonly burnPerHourMicroUsd: number
  readonly promptTokens: number
  readonly completionTokens: number
}

const sumOf = (rows: readonly SpendRow[], of: (row: SpendRow) => number): number =>
  rows.reduce((sum, row) => sum + of(row), 0)

export function presentSpend(rows: readonly SpendRow[], scene: SpendScene): SpendView {
  const total = sumOf(rows, (row) => row.totalMicroUsd)
  const idle = sumOf(rows, (row) => row.idleMicroUsd)
  const tokens = scene.promptTokens + scene.completionTokens
  const perMillion = (money: number) => (tokens === 0 ? null : Math.round((money * 1_000_000) / tokens))
  const byDuty = duties.map((duty): [Duty, number] => [
    duty,
    sumOf(
      rows.filter((row) => row.duty === duty),
      (row) => row.totalMicroUsd,
    ),
  ])
  const byDeployment = [...Map.groupBy(rows, (row) => row.deployment)]
  return {
    from: iso(scene.from),
    to: iso(scene.to),
    totalMicroUsd: total,
    burnPerHourMicroUsd: scene.burnPerHourMicroUsd,
    byDuty: Object.fromEntries(byDuty) as Record<Duty, number>,
    failedMicroUsd: sumOf(rows, (row) => row.failedMicroUsd),
    idleMicroUsd: idle,
    promptTokens: scene.promptTokens,
    completionTokens: scene.completionTokens,
    perMillionTokensMicroUsd: perMillion(total),
    perMillionTokensBusyMicroUsd: perMillion(total - idle),
    byDeployment: byDeployment.map(([deployment, own]) => ({
      deployment,
      totalMicroUsd: sumOf(own, (row) => row.totalMicroUsd),
    })),
  }
}
