import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { explainStage, type StageEnd, whyNoRoom } from './install-failures.ts'

const fixtures = join(import.meta.dirname, '../../test/fixtures/install')
const engine = { name: 'engine', title: 'vLLM 0.32.0', needsMib: 10_000 } as const
const model = { name: 'model', title: 'model lab/tiny', needsMib: 0 } as const

const ended = (output: string, over: Partial<StageEnd> = {}) =>
  explainStage({ stage: engine, code: 1, signal: null, output, freeMib: 100_000, expectedMib: null, ...over })

const explained = (file: string) => {
  const stage = /^(hub|s3)-/.test(file) ? model : engine
  return ended(readFileSync(join(fixtures, `${file}.txt`), 'utf8'), { stage, freeMib: file === 'venv-disk' ? 0 : 512 })
}

test.each([
  ['uv-dns', 'registry_unreachable', 'often', /registry \(pypi\.nowhere\.invalid\) cannot be found: its name/],
  ['pip-dns', 'registry_unreachable', 'often', /name is not resolved/],
  ['uv-refused', 'registry_unreachable', 'often', /registry \(127\.0\.0\.1:9\) cannot be reached/],
  ['pip-refused', 'registry_unreachable', 'often', /cannot be reached/],
  ['uv-503', 'registry_unreachable', 'often', /does not answer/],
  ['uv-proxy', 'registry_unreachable', 'often', /through the proxy/],
  ['pip-proxy', 'registry_unreachable', 'often', /through the proxy/],
  ['uv-tls', 'registry_unreachable', 'once', /certificate that this machine does not trust/],
  ['uv-401', 'registry_refused', 'once', /refuses us \(401 Unauthorized\)/],
  ['uv-403', 'registry_refused', 'once', /refuses us \(403 Forbidden\)/],
  // This pip does not say that it was refused.
  ['pip-401', 'version_not_found', 'once', /no requests, or does not let us see it/],
  ['pip-403', 'version_not_found', 'once', /no requests, or does not let us see it/],
  ['uv-no-version', 'version_not_found', 'once', /has no vllm==99\.0\.0\./],
  ['uv-no-package', 'version_not_found', 'once', /no flightdeck-no-such-package, or/],
  ['pip-no-version', 'version_not_found', 'once', /has no uv==99\.0\.0\./],
  ['uv-disk-download', 'disk_full', 'once', /vLLM 0\.32\.0 needs about 9\.8 GiB, and has 512 MiB free now/],
  ['uv-disk-link', 'disk_full', 'once', /The disk is full/],
  ['pip-disk', 'disk_full', 'once', /The disk is full/],
  ['venv-disk', 'disk_full', 'once', /The disk is full/],
  ['hub-disk', 'disk_full', 'once', /The disk is full, and has 512 MiB free now: model lab\/tiny/],
  ['uv-no-python', 'no_python', 'once', /There is no Python >=3\.19 on the machine/],
  ['uv-python-too-old', 'no_python', 'once', /The Python of the machine \(3\.10\.13\) is not one/],
  ['pip-python-too-old', 'no_python', 'once', /too old/],
  ['venv-permission', 'no_permission', 'once', /may not write/],
  ['uv-permission', 'no_permission', 'once', /may not write/],
  ['uv-memory', 'host_memory', 'once', /memory of the machine ran out/],
  ['hub-gated-no-token', 'gated_without_token', 'once', /gated, and no valid token/],
  ['hub-gated-not-approved', 'token_refused', 'once', /has not been granted access/],
  ['hub-bad-token', 'token_refused', 'once', /does not know the token/],
  ['hub-no-repo', 'model_not_found', 'once', /not there: model lab\/tiny/],
  ['hub-no-revision', 'model_not_found', 'once', /not the revision/],
  ['hub-dns', 'hub_unreachable', 'often', /name is not resolved/],
  ['hub-refused', 'hub_unreachable', 'often', /cannot be reached/],
  ['s3-no-bucket', 'bucket_not_found', 'once', /no such bucket/],
  ['s3-empty', 'model_not_found', 'once', /not there/],
  ['s3-no-keys', 'bucket_refused', 'once', /refuses us \(NoCredentialsError\)/],
  ['s3-bad-key', 'bucket_refused', 'once', /refuses us \(InvalidAccessKeyId\)/],
  ['s3-refused', 'hub_unreachable', 'often', /cannot be reached/],
  ['s3-dns', 'hub_unreachable', 'often', /store\.nowhere\.invalid/],
] as const)('%s is told as %s, and tried %s', (file, code, tries, cause) => {
  const failure = explained(file)
  expect([failure.record.code, failure.tries]).toEqual([code, tries])
  expect(failure.record.cause).toMatch(cause)
  expect(failure.record.remedy).toMatch(/\w{3}/)
  expect(failure.record.evidence?.length).toBeGreaterThan(20)
})

test('a gated model fails the launch: no other machine could fetch it', () => {
  for (const file of ['hub-gated-no-token', 'hub-gated-not-approved', 's3-bad-key', 'uv-no-version'])
    expect(explained(file).record.retry).toBe('never')
  expect(explained('uv-dns').record.retry).toBe('elsewhere')
})

test('what the same offer would bring again, its disk, its memory and its Python, is not tried there twice', () => {
  for (const file of ['uv-disk-link', 'uv-no-python']) expect(explained(file).record.retry).toBe('not_here')
  expect(whyNoRoom({ title: 'It' }, 2, 1)?.retry).toBe('not_here')
  expect(ended('', { code: null, signal: 'SIGKILL' }).record.retry).toBe('not_here')
})

test('a command that was killed is called short of memory, and what nobody knows says how it ended', () => {
  expect(ended('', { code: null, signal: 'SIGKILL' })).toMatchObject({ tries: 'once', record: { code: 'host_memory' } })
  const unknown = ended('strange', { code: 3 })
  expect(unknown).toMatchObject({ tries: 'twice', record: { code: 'install_failed', evidence: 'strange' } })
  expect(unknown.record.cause).toContain('exit code 3')
})

test('a name and a password in an address are not repeated in the cause', () => {
  const { cause } = ended('error sending request for url (https://me:word@pkg.example/simple/)').record
  expect(cause).toContain('(pkg.example)')
  expect(cause).not.toMatch(/word|me:/)
})

test('need and room are told before anything is written', () => {
  expect(whyNoRoom(engine, 10_000, 10_000)).toBe(null)
  const cause = '9.8 GiB of disk are needed, and 900 MiB are free: vLLM 0.32.0.'
  expect(whyNoRoom(engine, 10_000, 900)).toMatchObject({ code: 'disk_full', cause })
})
