import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { runCli } from '../cli/program.ts'
import { ascii } from '../cli/test-views.ts'
import { fitOnOffer } from '../core/preflight.ts'
import type { Client } from '../wire/client.ts'
import { configFile, projectRoot, settingsOf } from './config.ts'
import { publicAddresses, refuseUnreachable } from './public-address.ts'

const page = readFileSync(join(projectRoot, 'docs', 'skypilot.md'), 'utf8')
const shell = /## From nothing to a served model: five commands\n[\s\S]*?```sh\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
const config = configFile.parse(JSON.parse(/<<'JSON'\n([\s\S]*?)\nJSON\n/.exec(shell)?.[1] ?? ''))
const [model] = config.models

/** What a command line asks of the control plane, or what it starts. */
async function asks(words: string): Promise<unknown[]> {
  const asked: unknown[] = []
  const call = (name: string) => async (given: { body?: object }) => {
    asked.push({ [name]: given.body })
    throw new Error('this is as far as it goes')
  }
  const client = { createLaunch: call('createLaunch'), createKey: call('createKey') } as unknown as Client
  const said: string[] = []
  const terminal = {
    interactive: false,
    out: () => undefined,
    err: (text: string) => said.push(text),
    look: () => ascii(80),
  }
  await runCli(words.split(' '), {
    up: async (flags) => {
      asked.push({ up: flags.config })
    },
    makeClient: async () => client,
    terminal,
    env: { FLIGHTDECK_URL: 'http://127.0.0.1:8080', FLIGHTDECK_TOKEN: 'fd_op_x' },
  })
  assert.ok(asked.length > 0, said.join(''))
  return asked
}

const written = (pattern: RegExp): string => pattern.exec(shell)?.[1] ?? assert.fail(`${pattern} is not on the page`)

describe('the five commands of the SkyPilot page', () => {
  test('are five, and the last one is answered by a model', () => {
    assert.deepEqual(
      [...shell.matchAll(/^# (\d)\. /gm)].map(([, n]) => n),
      ['1', '2', '3', '4', '5'],
    )
    assert.match(shell, /# 5\.[\s\S]*curl http:\/\/127\.0\.0\.1:8081\/v1\/chat\/completions/)
    assert.equal(config.gateway.port, 8081)
  })

  test('write a configuration that the control plane takes, with addresses that machines can call', () => {
    const clouds = config.skypilot?.clouds ?? {}
    assert.deepEqual(Object.keys(clouds), ['aws'])
    const ports = { control: config.listen.port, gateway: config.gateway.port }
    assert.doesNotThrow(() => refuseUnreachable(clouds, publicAddresses(config, {}, ports)))
  })

  test('start, launch, make a key and ask by words that the command line knows', async () => {
    assert.deepEqual(await asks(`up ${written(/^npm start -- (.*)$/m)}`), [{ up: 'flightdeck.json' }])
    const [launched] = (await asks(written(/^bin\/flightdeck (launch .*)$/m))) as [{ createLaunch: object }]
    assert.partialDeepStrictEqual(launched.createLaunch, { model: model?.name, dryRun: false })
    assert.deepEqual(await asks(written(/\$\(bin\/flightdeck (keys create \w+)\)/)), [
      { createKey: { name: 'me', models: null } },
    ])
    const body = JSON.parse(written(/-d '(.*)'/)) as { model: string }
    assert.equal(body.model, model?.name)
  })

  test('name a model that fits on the GPU that is asked for', () => {
    const gpu = written(/--gpu (\w+)$/m)
    assert.ok(config.skypilot?.clouds['aws']?.gpus.includes(gpu))
    const l4 = { id: 'a', cloud: 'aws', region: 'us-east-1', gpu, gpuCount: 1, vramGib: 24, spot: false }
    const settings = settingsOf(config)
    const entry = settings.models.find(({ name }) => name === model?.name) ?? assert.fail()
    const fit = fitOnOffer(settings, entry, {}, { ...l4, pricePerHourMicroUsd: 1, available: null })
    assert.equal(fit?.verdict, 'fits')
  })
})
