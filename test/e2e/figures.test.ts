import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { randomName } from '../../src/lib/chance.ts'
import { isAlert, ruleGroups } from '../../src/main/alerts-page.ts'
import { queriesOf } from '../grafana-board.ts'
import { figuresOn, type Matcher, namesIn } from '../promql.ts'
import { type Plane, startPlane } from './plane.ts'

let plane: Plane
let bin: string
let node: string
/** Of the control plane, of the gateway, of the agent and its engine. */
let pages: string[]

const smi = `#!/bin/sh\necho "0, GPU-${randomName(8)}-0, NVIDIA H100 80GB HBM3, 81559, 40, 1024, 30"\n`

beforeAll(async () => {
  bin = mkdtempSync(join(tmpdir(), 'fd-smi-'))
  writeFileSync(join(bin, 'nvidia-smi'), smi, { mode: 0o755 })
  plane = await startPlane({ scripts: { pair: {} }, path: bin })
  const key = await plane.key()
  node = (await plane.node(await plane.reaches((await plane.launched('pair')).id, ['live']))).name
  expect((await plane.chat('pair', key)).status).toBe(200)
  expect((await plane.chat('pair', 'fd_key_of_nobody')).status).toBe(401)
  const pageOf = async (path: string) => (await fetch(plane.gatewayUrl + path)).text()
  pages = [await plane.client.metrics(), await pageOf('/metrics'), await pageOf(`/metrics/nodes/${node}`)]
}, 60_000)
afterAll(async () => {
  await plane?.end()
  rmSync(bin, { recursive: true, force: true })
})

test('control plane, gateway and agent tell figures, each name in one place, and docs/metrics.md explains them all', () => {
  expect(pages[2]).toContain('flightdeck_agent_engine_state{state="serving"} 1')
  expect(pages[2]).toContain('vllm:num_requests_running')
  const names = pages.map((page) => [...page.matchAll(/^# TYPE (flightdeck_\S+)/gm)].map(([, name]) => name ?? ''))
  expect(names.map((of) => of.length > 5)).toEqual([true, true, true])
  const all = names.flat()
  expect(new Set(all).size).toBe(all.length)
  const explained = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8')
  expect(all.filter((name) => !explained.includes(`\`${name}\``))).toEqual([])
  const told = [...explained.matchAll(/`(flightdeck_\w+)`/g)].map(([, name]) => name)
  expect(told.filter((name) => !all.includes(name ?? ''))).toEqual([])
})

test('the gateway lists the pages of its nodes as Prometheus discovers them', async () => {
  const [first, ...others] = (await (await fetch(`${plane.gatewayUrl}/metrics/nodes`)).json()) as {
    targets: string[]
    labels: Record<string, string>
  }[]
  expect(others).toEqual([])
  expect(first?.labels['node']).toBe(node)
  const page = await fetch(`http://${first?.targets[0]}${first?.labels['__metrics_path__']}`)
  expect(await page.text()).toContain('flightdeck_agent_info')
})

/** What Prometheus adds to whatever it reads, and what discovery adds to the pages of nodes. */
const added = ['instance', 'job', 'node']
const variable = /^\$\w+$/

function valuesOf({ op, value }: Matcher): string[] {
  if (variable.test(value)) return []
  return op === '=' || op === '!=' ? [value] : value.split('|')
}

/** What an expression names that nobody tells. */
function untold(expr: string, recorded: readonly string[]): string[] {
  const figures = figuresOn(pages.join('\n'))
  const { metrics, labels } = namesIn(expr)
  const known = new Set(added)
  const missing: string[] = []
  for (const { name, matchers } of metrics) {
    const of = figures.get(name)
    if (!of && !recorded.includes(name)) missing.push(name)
    for (const label of of?.keys() ?? []) known.add(label)
    for (const matcher of matchers) {
      const values = of?.get(matcher.label)
      if (!values && !(added.includes(matcher.label) && variable.test(matcher.value)))
        missing.push(`${name}{${matcher.label}}`)
      for (const value of valuesOf(matcher))
        if (!values?.has(value)) missing.push(`${name}{${matcher.label}="${value}"}`)
    }
  }
  return [...missing, ...labels.filter((label) => !known.has(label))]
}

const rules = ruleGroups().flatMap((group) => group.rules)
const recorded = rules.flatMap((rule) => (isAlert(rule) ? [] : [rule.record]))

test.each(rules.map((rule) => [isAlert(rule) ? rule.alert : rule.record, rule.expr] as const))(
  'whatever %s asks for is told by a running install: each metric, label and word',
  (_, expr) => expect(untold(expr, recorded)).toEqual([]),
)

test('every query of the board asks for metrics, labels and words that a running install tells', () => {
  const queries = queriesOf('monitoring/grafana.json')
  expect(queries.length).toBeGreaterThan(30)
  expect(queries.flatMap(({ title, expr }) => untold(expr, []).map((what) => `${title}: ${what}`))).toEqual([])
})

test('a metric, a label and a word that nobody tells are found', () => {
  expect(untold('max by (nowhere) (flightdeck_nodes{state="readi"}) + flightdeck_node{x="y"}', [])).toEqual([
    'flightdeck_nodes{state="readi"}',
    'flightdeck_node',
    'flightdeck_node{x}',
    'flightdeck_node{x="y"}',
    'nowhere',
  ])
})
