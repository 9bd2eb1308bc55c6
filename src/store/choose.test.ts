import { expect, test } from 'vitest'
import { chooseDatabase } from './choose.ts'
import { EmbeddedError } from './embedded-error.ts'

test('without DATABASE_URL the embedded server is chosen, and the line says where its data is', () => {
  for (const env of [{}, { DATABASE_URL: '' }, { DATABASE_URL: '  ' }]) {
    const choice = chooseDatabase(env, '/srv/fd')
    expect(choice).toMatchObject({ kind: 'embedded', dataDir: '/srv/fd' })
    expect(choice.explanation).toMatch(/embedded.*\/srv\/fd.*DATABASE_URL is not set/)
  }
})

test('DATABASE_URL wins, and what is secret in it is never shown', () => {
  const secrets = [
    'postgres://ann:hunter2@db.example:6432/fleet?password=hunter2',
    'postgresql://hunter2@db.example:6432/fleet',
    'postgres://ann:hunter2@/fleet?host=/run/hunter2',
  ]
  for (const url of secrets) {
    const choice = chooseDatabase({ DATABASE_URL: url }, '/srv/fd')
    expect(choice).toMatchObject({ kind: 'url', url })
    expect(choice.explanation).not.toContain('hunter2')
  }
  expect(chooseDatabase({ DATABASE_URL: secrets[0] }, '/srv/fd').explanation).toContain('db.example:6432/fleet')
})

test('an address of something else is refused with a remedy and without repeating it', () => {
  const wrong = (): unknown => chooseDatabase({ DATABASE_URL: 'mysql://ann:hunter2@db/fleet' }, '/srv/fd')
  expect(wrong).toThrow(EmbeddedError)
  expect(wrong).toThrow(/^(?!.*hunter2)/)
  expect(wrong).toThrow(expect.objectContaining({ code: 'bad_url', remedy: expect.stringContaining('postgres://') }))
})
