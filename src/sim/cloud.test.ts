import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { type CloudOnTrial, cloudGuarantees } from '../clouds/conformance.ts'
import { SimCloud, type SimFaults, simOffer } from './cloud.ts'

class TestTime {
  ms = 1_000_000
  now = () => this.ms
  monotonicMs = () => this.ms
}

function make(faults: Partial<SimFaults> = {}) {
  const clock = new TestTime()
  return { clock, cloud: new SimCloud({ clock, faults }) }
}

const ask = { name: 'fd-sim-1', offer: simOffer('sim', 'small', 1), joinToken: 't' }
const names = async (cloud: SimCloud) => (await cloud.listMachines()).map(({ name }) => name)

describe('the simulated cloud keeps what every cloud promises', () => {
  const moods: [string, Partial<SimFaults>][] = [
    ['at its best', {}],
    ['when it lists late and ends slowly', { listingLagMs: 1_500, endAsks: 3 }],
  ]
  const trials = moods.flatMap(([mood, faults]) => cloudGuarantees.map((guarantee) => ({ mood, faults, ...guarantee })))
  test.each(trials)('$mood: $title', async ({ faults, check }) => {
    const { clock, cloud } = make(faults)
    let made = 0
    const trial: CloudOnTrial = {
      cloud,
      offer: ask.offer,
      newName: () => `fd-sim-${++made}`,
      until: async (what, holds) => {
        for (let tries = 0; !(await holds()); tries++) {
          assert.ok(tries < 100, what)
          clock.ms += 100
        }
      },
    }
    await check(trial)
  })
})

describe('each fault is what it says', () => {
  test('a refusal makes nothing, and the one after it is granted', async () => {
    const { cloud } = make({ refuse: { code: 'no_capacity', times: 1 } })
    const answer = await cloud.ensureMachine(ask)
    assert.equal(answer.accepted ? null : answer.refusal.code, 'no_capacity')
    assert.equal(cloud.machines.size, 0)
    assert.deepEqual(await cloud.ensureMachine(ask), { accepted: true })
  })

  test('a lost answer is thrown after the machine was made; an ask that fails makes none', async () => {
    const { cloud } = make({ loseAnswers: 1, failAsks: 1 })
    await assert.rejects(cloud.ensureMachine(ask), /refused/)
    assert.equal(cloud.machines.size, 0)
    await assert.rejects(cloud.ensureMachine(ask), /before the cloud had answered/)
    assert.deepEqual(await names(cloud), ['fd-sim-1'])
    assert.deepEqual(await cloud.ensureMachine(ask), { accepted: true })
    assert.equal(cloud.made.get('fd-sim-1'), 1)
  })

  test('a machine is listed only after the lag, and boots only after its time or never', async () => {
    const { clock, cloud } = make({ listingLagMs: 500, bootMs: 200 })
    await cloud.ensureMachine(ask)
    assert.deepEqual([await names(cloud), cloud.booted().length], [[], 0])
    clock.ms += 200
    assert.deepEqual([await names(cloud), cloud.booted().length], [[], 1])
    clock.ms += 300
    assert.deepEqual(await names(cloud), ['fd-sim-1'])
    const dead = make({ neverBoots: true })
    await dead.cloud.ensureMachine(ask)
    dead.clock.ms += 10 ** 9
    assert.equal(dead.cloud.booted().length, 0)
  })

  test('a look that fails says nothing, and an end may have to be asked for more than once', async () => {
    const { cloud } = make({ failLooks: 1, endAsks: 2 })
    await assert.rejects(cloud.listMachines(), /does not answer/)
    await cloud.ensureMachine(ask)
    await cloud.ensureGone(ask.name)
    assert.deepEqual(await names(cloud), ['fd-sim-1'])
    await cloud.ensureGone(ask.name)
    assert.deepEqual(await names(cloud), [])
  })

  test('a machine can vanish by itself, and show up again', async () => {
    const { cloud } = make()
    await cloud.ensureMachine(ask)
    cloud.vanish(ask.name)
    assert.deepEqual(await names(cloud), [])
    cloud.showUp(ask.name)
    assert.deepEqual(await names(cloud), ['fd-sim-1'])
  })
})
