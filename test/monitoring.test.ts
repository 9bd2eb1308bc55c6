import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { runCli } from '../src/cli/program.ts'
import { noPaint } from '../src/cli/terminal.ts'
import { isAlert, ruleGroups } from '../src/main/alerts-page.ts'

interface Case {
  readonly name: string
  readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly object[] }[]
}

const folder = join(import.meta.dirname, '../monitoring')
const alerts = ruleGroups().flatMap(({ rules }) => rules.filter(isAlert))
const { tests } = parse(readFileSync(join(folder, 'alerts.test.yml'), 'utf8')) as { tests: readonly Case[] }

test('each alert has a case in which it fires and one in which it must not', () => {
  for (const { alert } of alerts) {
    const cases = tests.flatMap((one) => one.alert_rule_test.filter(({ alertname }) => alertname === alert))
    const fires = cases.filter(({ exp_alerts: expected }) => expected.length > 0)
    expect([fires.length > 0, cases.length > fires.length], alert).toEqual([true, true])
  }
  const names = new Set(alerts.map(({ alert }) => alert))
  expect(tests.flatMap((one) => one.alert_rule_test).filter(({ alertname }) => !names.has(alertname))).toEqual([])
})

/** What `flightdeck COMMAND --help` prints. */
async function helpOf(command: string): Promise<string> {
  let printed = ''
  const print = (text: string) => {
    printed += text
  }
  const look = () => ({ columns: 200, rows: 50, paint: noPaint, unicode: false })
  const never = () => Promise.reject(new Error('help calls nobody'))
  const terminal = { interactive: false, look, out: print, err: print }
  await runCli([command, '--help'], { up: never, makeClient: never, terminal, env: {} })
  return printed
}

test('each alert says what to do in one line, with a command and options that exist', async () => {
  for (const { alert, annotations, labels } of alerts) {
    expect(['critical', 'warning'], alert).toContain(labels.severity)
    expect(annotations.remedy, alert).not.toContain('\n')
    const commands = [...annotations.remedy.matchAll(/`flightdeck ([a-z]+)([^`]*)`/g)]
    expect(commands.length, alert).toBeGreaterThan(0)
    for (const [, command = '', rest = ''] of commands) {
      const help = await helpOf(command)
      expect(help, alert).toContain(`Usage: flightdeck ${command} `)
      for (const [option] of rest.matchAll(/--[a-z-]+/g)) expect(help, alert).toContain(option)
    }
  }
})
