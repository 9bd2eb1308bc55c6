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

const told: [string, string][] = [
  ['postgres://ann:hunter2@db.example:6432/fleet?password=hunter2', 'db.example:6432, database fleet'],
  ['postgresql://hunter2@db.example/fleet?sslpassword=hunter2', 'db.example:5432, database fleet'],
  ['postgres://ann:hunter2@[2001:db8::1]:6432/fleet', '[2001:db8::1]:6432, database fleet'],
  ['postgres://ann:hunter2@/fleet?host=/run/postgresql', 'the socket in /run/postgresql, database fleet'],
  ['postgres://ann:hunter2@%2Frun%2Fpostgresql/fleet', 'the socket in /run/postgresql, database fleet'],
  ['socket:/run/postgresql?db=fleet&password=hunter2', 'the socket in /run/postgresql, database fleet'],
]
test.each(told)('DATABASE_URL wins, and is told without what is secret in it: %s', (url, where) => {
  const choice = chooseDatabase({ DATABASE_URL: url }, '/srv/fd')
  expect(choice).toMatchObject({ kind: 'url', url, where: `PostgreSQL at ${where}` })
  expect(choice.explanation).toBe(`Database: PostgreSQL at ${where}, because DATABASE_URL is set.`)
})

test('an address whose certificate cannot be read is told without a word of it', () => {
  const url = 'postgres://ann:hunter2@db.example/fleet?sslcert=/nowhere'
  const { explanation } = chooseDatabase({ DATABASE_URL: url }, '/srv/fd')
  expect(explanation).toBe('Database: the PostgreSQL that DATABASE_URL names, because DATABASE_URL is set.')
})

test.each(['/', '?', '#'])(
  'a password with a bare %s is refused with how to write it, and no part of it is told',
  (sign) => {
    const wrong = (): unknown => chooseDatabase({ DATABASE_URL: `postgres://ann:12${sign}hunter2@db/fleet` }, '/srv/fd')
    expect(wrong).toThrow(/^(?!.*(12|hunter2))/)
    expect(wrong).toThrow(expect.objectContaining({ code: 'bad_url', remedy: expect.stringContaining('%2F') }))
  },
)

test('an address of something else is refused with a remedy and without repeating it', () => {
  const wrong = (): unknown => chooseDatabase({ DATABASE_URL: 'mysql://ann:hunter2@db/fleet' }, '/srv/fd')
  expect(wrong).toThrow(EmbeddedError)
  expect(wrong).toThrow(/^(?!.*hunter2)/)
  expect(wrong).toThrow(expect.objectContaining({ code: 'bad_url', remedy: expect.stringContaining('postgres://') }))
})
