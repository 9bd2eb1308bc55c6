import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { randomName } from '../../src/lib/chance.ts'
import { projectRoot } from '../../src/main/config.ts'
import { freePort } from '../../src/main/ports.ts'
import { type Plane, startPlane, until } from '../e2e/plane.ts'
import { queriesOf } from '../grafana-board.ts'
import { unpackFromDebian } from './debian-packages.ts'

const monitoring = join(projectRoot, 'monitoring')
let programs: string
beforeAll(() => {
  programs = join(unpackFromDebian('prometheus'), 'usr', 'bin')
})

const promtool = (...words: string[]) => promisify(execFile)(join(programs, 'promtool'), words, { cwd: monitoring })

function folderOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'fd-prometheus-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(monitoring, folder, { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

test('Prometheus takes the rules and the configuration that names them', async () => {
  await promtool('check', 'rules', '--lint=all', '--lint-fatal', 'alerts.yml')
  await promtool('check', 'config', join(folderOf({ 'prometheus.token': 'x' }), 'prometheus.yml'))
})

test('each alert fires in its case, with what is so and what to do, and in the other it does not', async () => {
  const { stdout } = await promtool('test', 'rules', 'alerts.test.yml')
  expect(stdout).toContain('SUCCESS')
})

/** A Prometheus with the example's configuration, which differs in ports and in being quick. */
async function startPrometheus({ client, port, gatewayPort }: Plane): Promise<string> {
  const { token } = await client.createOperator({ body: { name: 'prometheus', role: 'viewer' } })
  const config = readFileSync(join(monitoring, 'prometheus.yml'), 'utf8')
    .replaceAll(':8080', `:${port}`)
    .replaceAll(':8081', `:${gatewayPort}`)
    .replaceAll(' 15s', ' 1s')
  const folder = folderOf({ 'prometheus.token': `${token}\n`, 'prometheus.yml': config })
  const own = `127.0.0.1:${await freePort('127.0.0.1')}`
  const words = ['--config.file=prometheus.yml', '--storage.tsdb.path=tsdb', `--web.listen-address=${own}`]
  const child = spawn(join(programs, 'prometheus'), words, { cwd: folder, stdio: 'ignore' })
  onTestFinished(async () => {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  })
  const url = `http://${own}`
  const ready = () =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until(ready, 60_000, () => 'Prometheus does not start')
  return url
}

interface Reply {
  readonly status: string
  readonly data: {
    readonly activeTargets: readonly { readonly health: string; readonly lastError: string }[]
    readonly groups: readonly {
      readonly rules: readonly { readonly name: string; readonly health: string; readonly lastError?: string }[]
    }[]
    readonly alerts: readonly { readonly state: string; readonly labels: { readonly alertname: string } }[]
    readonly result: readonly object[]
  }
}

test('a Prometheus with the example`s configuration reads every process, answers every query of the board, and alerts', async () => {
  const smi = `#!/bin/sh\necho "0, GPU-${randomName(8)}-0, NVIDIA H100 80GB HBM3, 81559, 40, 1024, 30"\n`
  const bin = folderOf({})
  writeFileSync(join(bin, 'nvidia-smi'), smi, { mode: 0o755 })
  const plane = await startPlane({
    scripts: { pair: {}, broken: { faults: { exitCode: 1 } } },
    config: { launch: { rounds: 1, triesPerOffer: 1 } },
    path: bin,
  })
  onTestFinished(() => plane.end())
  const key = await plane.key()
  await plane.reaches((await plane.launched('pair')).id, ['live'], 60_000)
  const url = await startPrometheus(plane)
  const ask = async (path: string) => (await (await fetch(`${url}/api/v1/${path}`)).json()) as Reply

  const targets = async () => (await ask('targets')).data.activeTargets
  let seen: Awaited<ReturnType<typeof targets>> = []
  await until(
    async () => {
      seen = await targets()
      return seen.length === 3 && seen.every(({ health }) => health === 'up')
    },
    60_000,
    () => `not every process is read: ${JSON.stringify(seen)}`,
  )
  const rules = async () => (await ask('rules')).data.groups.flatMap((group) => group.rules)
  await until(
    async () => (await rules()).every(({ health }) => health !== 'unknown'),
    60_000,
    () => 'the rules are not looked at',
  )
  expect((await rules()).filter(({ health }) => health !== 'ok')).toEqual([])

  // A busy machine holds the control plane up, and the guard says so.
  const firing = async () =>
    (await ask('alerts')).data.alerts
      .filter(({ state, labels }) => state === 'firing' && labels.alertname !== 'FlightdeckGuardHeldLately')
      .map(({ labels }) => labels.alertname)
  expect(await firing()).toEqual([])

  const unanswered = async () => {
    await plane.chat('pair', key)
    await plane.chat('pair', 'fd_key_of_nobody')
    const replies = queriesOf('monitoring/grafana.json').map(async ({ title, expr }) => {
      const query = expr.replaceAll('$__rate_interval', '1m').replaceAll('$node', '.*')
      const { status, data } = await ask(`query?query=${encodeURIComponent(query)}`)
      return status === 'success' && data.result.length > 0 ? [] : [title]
    })
    return (await Promise.all(replies)).flat()
  }
  await expect.poll(unanswered, { timeout: 60_000, interval: 1_000 }).toEqual([])

  await plane.launched('broken')
  await expect.poll(firing, { timeout: 120_000, interval: 500 }).toEqual(['FlightdeckLaunchFailed'])
})
