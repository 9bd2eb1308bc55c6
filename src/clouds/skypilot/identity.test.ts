import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import {
  asked,
  goes,
  launchedByOthers,
  newName,
  offerAt,
  process,
  seen,
  seenAs,
  server,
  startServers,
  until,
} from '../../../test/sky-server.ts'

startServers()

const downs = () => [...server.sky.requests.values()].filter(({ verb }) => verb === 'sky.down')

describe("another user's cluster under a name of ours", () => {
  test('is no machine of ours: it is not listed, nothing is launched on it, and nothing ends it', async () => {
    const name = newName()
    await launchedByOthers(name)
    await until('it runs', async () => server.sky.machines.get(name)?.jobs[0] === 'RUNNING')
    const cloud = process()
    assert.equal(await seen(cloud, name), undefined)
    const answer = await cloud.ensureMachine({ name, offer: await offerAt(cloud, 'lab/main'), joinToken: 't' })
    assert.match(answer.accepted ? '' : answer.refusal.cause, /belongs to somebody else/)
    assert.equal(server.sky.posted.length, 1)
    for (const one of [cloud, process()]) await one.ensureGone(name)
    assert.deepEqual(downs(), [])
    assert.ok(server.sky.machines.has(name))
  })

  test('is not launched on and not cancelled while it is only being asked for', async () => {
    server.sky.faults.stopBefore = 'row'
    const name = newName()
    await launchedByOthers(name)
    const cloud = process()
    const answer = await cloud.ensureMachine({ name, offer: await offerAt(cloud, 'lab/main'), joinToken: 't' })
    assert.equal(answer.accepted, false)
    await cloud.ensureGone(name)
    assert.equal(await seen(cloud, name), undefined)
    server.sky.faults.stopBefore = null
    await until('it runs', async () => server.sky.machines.has(name))
  })

  test('that came while ours was under way is told as taken, and is not billed or ended', async () => {
    server.sky.faults.stopBefore = 'row'
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: true, machine: false })
    const others = { region: 'lab/main', madeAt: Date.now(), owner: '0be5e55e', command: 'sky launch' }
    server.sky.clusters.set(name, {
      name,
      ...others,
      status: 'UP',
      lastEvent: 'All nodes up; SkyPilot runtime healthy.',
    })
    const told = await seen(cloud, name)
    assert.equal(told?.ask?.machine, false)
    assert.match(told?.ask?.refusal?.cause ?? '', /belongs to somebody else/)
    await cloud.ensureGone(name)
    await cloud.ensureGone(name)
    assert.deepEqual(downs(), [])
  })
})

describe('with a token the server calls us as it wants, and', () => {
  const token = 'sky_ours'

  test('what we launched is ours, also for a process that has asked nothing yet', async () => {
    Object.assign(server.sky.faults, { token, stopBefore: 'machine' })
    const name = await asked(process(token))
    await until('the row is there', async () => server.sky.clusters.get(name)?.owner === '5e4v1ce5')
    const cloud = process(token)
    assert.deepEqual((await seen(cloud, name))?.ask, { open: true, machine: false, refusal: null })
    server.sky.faults.stopBefore = null
    await seenAs(cloud, name, { open: false, machine: true })
    await goes(cloud, name)
  })

  test.each([
    ['before there was one', null],
    ['under another one', 'sky_before'],
  ])('what we launched %s stays ours', async (_, before) => {
    Object.assign(server.sky.faults, { token: before, userOfToken: 'be40ebe4' })
    const first = process(before ?? undefined)
    const name = await asked(first)
    await seenAs(first, name, { open: false, machine: true })
    Object.assign(server.sky.faults, { token, userOfToken: '5e4v1ce5' })
    const cloud = process(token)
    await seenAs(cloud, name, { open: false, machine: true, refusal: null })
    await goes(cloud, name)
  })
})
