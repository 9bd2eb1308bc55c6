import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { projectRoot } from './config.ts'

export interface AlertRule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly remedy: string }
}

export interface RecordingRule {
  readonly record: string
  readonly expr: string
}

export interface RuleGroup {
  readonly name: string
  readonly rules: readonly (AlertRule | RecordingRule)[]
}

export const isAlert = (rule: AlertRule | RecordingRule): rule is AlertRule => 'alert' in rule

const textOf = (file: string): string => readFileSync(join(projectRoot, 'monitoring', file), 'utf8')

/** The rules that are shipped, as Prometheus reads them. */
export const ruleGroups = (): readonly RuleGroup[] =>
  (parse(textOf('alerts.yml')) as { groups: readonly RuleGroup[] }).groups

/** What Prometheus has to read, as text for the page. */
export const scrapeConfig = (): string => textOf('prometheus.yml').trimEnd()

const unitOf: Readonly<Record<string, string>> = { humanizePercentage: 'N %', humanizeDuration: 'N seconds' }

/** An annotation without what is only known when it fires: `{{ $labels.node }}` is NODE, a value is N. */
export const inGeneral = (text: string): string =>
  text
    .replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => label.toUpperCase())
    .replace(/\{\{ \$value(?: \| (\w+))? \}\}/g, (_, unit: string = '') => unitOf[unit] ?? 'N')
