import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import {
  asked,
  goes,
  newName,
  offerAt,
  process,
  refused,
  seen,
  seenAs,
  server,
  startServers,
  until,
} from '../../../test/sky-server.ts'
import type { SkyError } from './api.ts'

startServers()

describe('a server that was restarted in the middle of a launch', () => {
  test('with care, which cancels what it works on, is told as such, and not as a refusal', async () => {
    server.sky.faults.stopBefore = 'row'
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: true })
    server.sky.interruptAll()
    const { code, cause, retry } = await refused(cloud, name)
    assert.deepEqual([code, retry], ['cloud_unavailable', 'same'])
    assert.match(cause, /restarted in the middle/)
    const again = await process().ensureMachine({ name, offer: await offerAt(cloud, 'lab/main'), joinToken: 't' })
    assert.equal(again.accepted ? '' : again.refusal.code, 'cloud_unavailable')
  })

  test('is told as such where nothing was made yet', async () => {
    server.sky.faults.stopBefore = 'row'
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: true })
    server.sky.restart()
    assert.equal((await refused(cloud, name)).code, 'cloud_unavailable')
  })

  test('is not believed when it says "up": no job was ever submitted', async () => {
    server.sky.faults.stopBefore = 'up'
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: true, machine: true })
    server.sky.restart()
    server.sky.claimUp(name)
    assert.match((await refused(cloud, name)).cause, /restarted in the middle.*no job was ever submitted/)
    assert.equal((await seen(cloud, name))?.ask?.machine, true)
    await goes(cloud, name)
  })

  test('takes nothing from a machine whose launch had ended well', async () => {
    const cloud = process()
    const name = await asked(cloud)
    await until('its job runs', async () => server.sky.machines.get(name)?.jobs.length === 1)
    server.sky.restart()
    assert.deepEqual(await seenAs(cloud, name, { open: false }), { open: false, machine: true, refusal: null })
  })
})

describe('the server', () => {
  test('that answers nothing has said nothing: a look fails, and lists no empty cloud', async () => {
    const cloud = process()
    await asked(cloud)
    await server.sky.stop()
    await assert.rejects(cloud.listMachines(), (error: SkyError) => error.kind === 'unreachable')
  })

  test('that remembers a machine which is not there any more looks itself when the machine is doubted', async () => {
    const cloud = process()
    const [lost, other] = [await asked(cloud), await asked(cloud)]
    for (const name of [lost, other]) await seenAs(cloud, name, { open: false, machine: true })
    server.sky.lose(lost)
    server.sky.lose(other)
    assert.equal((await seen(cloud, lost))?.ask?.machine, true, 'it is remembered')
    const gone = await seen(cloud, lost, [lost])
    assert.equal(gone?.ask?.machine, false)
    assert.match(gone?.ended ?? '', /its cloud took it away/)
    assert.equal((await seen(cloud, other))?.ask?.machine, true, 'nobody doubted it')
  })

  test('that is not ready refuses for now, and nothing was taken', async () => {
    const cloud = process()
    const offer = await offerAt(cloud, 'lab/main')
    const name = newName()
    server.sky.faults.busy = 1
    await assert.rejects(
      cloud.ensureMachine({ name, offer, joinToken: 't' }),
      (error: SkyError) => error.kind === 'busy',
    )
    assert.equal(server.sky.posted.length, 0)
  })

  test.each([
    ['All nodes terminated, cleaning up the cluster.', /its cloud took it away/],
    ['Cluster was terminated by user.', /somebody ended it/],
    ['Cluster was autodowned (idle timeout).', /idle/],
    ['Something that nobody has seen before.', /does not say why/],
  ])('that lost a machine ("%s") lists none any more, and says who ended it', async (event, why) => {
    const cloud = process()
    const name = await asked(cloud)
    await seenAs(cloud, name, { open: false, machine: true })
    server.sky.vanish(name, event)
    const gone = await seen(cloud, name)
    assert.deepEqual(gone?.ask, { open: false, machine: false, refusal: null })
    assert.match(gone?.ended ?? '', why)
  })
})
