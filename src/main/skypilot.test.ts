import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { configFile } from './config.ts'
import { skyClouds } from './skypilot.ts'

const here = { controlUrl: 'http://127.0.0.1:8080', publicUrl: undefined, publicGatewayUrl: undefined }
const open = { publicUrl: 'https://control.example/', publicGatewayUrl: 'https://gateway.example' }

describe('the configuration', () => {
  test('names each cloud, and each becomes one with limits of its own', () => {
    const skypilot = { url: 'http://127.0.0.1:46580', clouds: { aws: {}, lambda: { requestLimitMin: 5 }, slurm: {} } }
    const config = configFile.parse({ skypilot }).skypilot
    assert.ok(config)
    const agent = { version: '1', protocol: 1, artefacts: ['agent.cjs', 'loop.sh'].map((file) => artefact(file)) }
    const terms = {
      ...here,
      ...open,
      token: undefined,
      fingerprint: null,
      install: 'abc',
      agent,
      recipes: {},
      loadLimitMs: 1,
      drainLimitMs: 1,
    }
    const { clouds, close } = skyClouds({ ...terms, config })
    close()
    assert.deepEqual(
      clouds.map(({ name, traits }) => [name, traits.requestLimitMs / 60_000]),
      [
        ['aws', 10],
        ['lambda', 5],
        ['slurm', 20],
      ],
    )
  })

  test.each([
    { url: 'ftp://x', clouds: { aws: {} } },
    { url: 'http://x', clouds: {} },
    { url: 'http://x', clouds: { local: {} } },
  ])('is refused where it cannot be right (%o)', (skypilot) => {
    assert.equal(configFile.safeParse({ skypilot }).success, false)
  })
})

const artefact = (file: string) => ({ file, sha256: '0'.repeat(64), bytes: 1, platform: 'node' as const, tested: true })
