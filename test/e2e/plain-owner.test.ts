import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { query } from '../../src/store/test-database.ts'
import { HeldDatabase } from './held-database.ts'
import { startPlane } from './plane.ts'
import { startServer } from './server.ts'

test('a database of the user`s own over TCP: its owner, no superuser and with a password, makes the tables and launches', async () => {
  const server = await startServer()
  onTestFinished(() => server.end())
  const ask = (sql: string) => query({ url: server.url }, sql)
  await ask(`create role ann login password 'se cret/1'`)
  await ask('create database fleet owner ann')
  const rules = join(server.dataDir, 'postgres', 'pg_hba.conf')
  writeFileSync(rules, `local all ann scram-sha-256\n${readFileSync(rules, 'utf8')}`)
  await ask('select pg_reload_conf()')
  const door = await HeldDatabase.before(server.url)
  onTestFinished(() => door.close())
  const addressOf = (password: string) => {
    const url = new URL(door.url)
    Object.assign(url, { username: 'ann', password, pathname: '/fleet' })
    return url.href
  }
  await expect(query({ url: addressOf('wrong') }, 'select 1')).rejects.toThrow(/password authentication failed/)
  const config = { poolSize: 5 }
  const plane = await startPlane({ scripts: { quick: {} }, config, databaseUrl: addressOf('se cret/1') })
  onTestFinished(() => plane.end())
  await plane.reaches((await plane.launched('quick')).id, ['live'])
  const { database } = await plane.client.status()
  expect([database.kind, database.poolSize]).toEqual(['given', 5])
  expect(plane.said).not.toContain('se cret')
}, 120_000)
