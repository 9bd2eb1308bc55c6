// Counts what ran, for the one closing line that our own CI reads. How tests are shown is the other reporters' work.
// A file that cannot be loaded and an error outside of every test count as failures: neither may look like "all passed".
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Reporter, SerializedError, TestModule } from 'vitest/node'

export interface Counts {
  passed: number
  failed: number
  skipped: number
  /** Names of those that passed, but not at the first try. */
  retried: string[]
}

export function countTests(modules: readonly TestModule[], strayErrors: number): Counts {
  const counts: Counts = { passed: 0, failed: strayErrors, skipped: 0, retried: [] }
  for (const module of modules) {
    counts.failed += module.errors().length
    for (const one of module.children.allTests()) {
      const { state } = one.result()
      if (state === 'passed') {
        counts.passed++
        if ((one.diagnostic()?.retryCount ?? 0) > 0) counts.retried.push(one.fullName)
      } else if (state === 'skipped') counts.skipped++
      else counts.failed++
    }
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length
  }
  return counts
}

/** Writes the counts to the file named by FLIGHTDECK_COUNTS; without it, does nothing. */
export class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], strayErrors: readonly SerializedError[]): void {
    const file = process.env.FLIGHTDECK_COUNTS
    if (!file) return
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, JSON.stringify(countTests(modules, strayErrors.length)))
  }
}
