import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { configFile } from './config.ts'
import { agentFilesOf, skyClouds } from './skypilot.ts'

const here = { controlUrl: 'http://127.0.0.1:8080', publicUrl: undefined, publicGatewayUrl: undefined }
const open = { publicUrl: 'https://control.example/', publicGatewayUrl: 'https://gateway.example' }

describe('the configuration', () => {
  test('names each cloud, and each becomes one with limits of its own', () => {
    const named = { aws: {}, gcp: {}, lambda: { requestLimitMin: 5 }, slurm: {} }
    const skypilot = { url: 'http://127.0.0.1:46580', clouds: named }
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
        ['gcp', 10],
        ['lambda', 5],
        ['slurm', 20],
      ],
    )
    const b200 = { id: 'b', cloud: 'gcp', region: 'r', gpu: 'B200', gpuCount: 8, vramGib: 180, spot: true }
    const limitsOf = (gpuCount: number) =>
      clouds[1]?.traitsFor?.({ ...b200, gpuCount, pricePerHourMicroUsd: 1, available: null }).requestLimitMs
    assert.deepEqual([limitsOf(1), limitsOf(8)], [600_000, 960_000])
  })

  test.each([
    { url: 'ftp://x', clouds: { aws: {} } },
    { url: 'http://x', clouds: {} },
    { url: 'http://x', clouds: { local: {} } },
    { url: 'http://x', clouds: { aws: {} }, agentMirror: 'http://mirror.example/agent' },
    { url: 'http://x', clouds: { aws: {} }, agentMirror: 'https://user:word@mirror.example/agent' },
    { url: 'http://x', clouds: { aws: {} }, agentMirror: 'https://mirror.example/agent?sig=secret' },
    { url: 'http://x', clouds: { aws: {} }, agentMirror: 's3://bucket/agent' },
  ])('is refused where it cannot be right (%o)', (skypilot) => {
    assert.equal(configFile.safeParse({ skypilot }).success, false)
  })
})

describe('what machines are brought', () => {
  const index = (...files: string[]) => ({ version: '1', protocol: 1, artefacts: files.map((file) => artefact(file)) })
  const plain = ['agent.cjs', 'loop.sh']
  const sum = '0'.repeat(64)

  test('lies in a folder of the version at each address; an executable counts with its packed form alone', () => {
    const folders = ['https://mirror.example/fd/', 'https://control.example/downloads/agent']
    const files = agentFilesOf(index(...plain, 'agent-linux-x64', 'agent-linux-x64.gz', 'agent-linux-arm64'), folders)
    assert.deepEqual(files, {
      from: ['https://mirror.example/fd/1', 'https://control.example/downloads/agent/1'],
      bundle: sum,
      loop: sum,
      x64: { raw: sum, gzip: sum },
      arm64: null,
    })
  })

  test('is never less than bundle and loop', () => {
    assert.throws(() => agentFilesOf(index('agent.cjs'), []), /built without loop\.sh/)
  })
})

const artefact = (file: string) => ({ file, sha256: '0'.repeat(64), bytes: 1, platform: 'node' as const, tested: true })
