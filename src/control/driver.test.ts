import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test, vi } from 'vitest'
import { type Clock, systemClock } from '../lib/clock.ts'
import { makeLog } from '../lib/log.ts'
import { claimDue, enrol, nudge } from '../store/claims.ts'
import { ensureInstall } from '../store/install.ts'
import { setPaused } from '../store/pause.ts'
import { type TestStore, testStore } from '../store/test-database.ts'
import { Continuity } from './continuity.ts'
import { Driver, type Loop, type PassResult } from './driver.ts'

let base: TestStore
let drivers: Driver[]
beforeEach(async () => {
  base = await testStore()
  drivers = []
})
afterEach(async () => {
  await Promise.all(drivers.map((driver) => driver.stop()))
  await base.drop()
})

const resting: PassResult = { moved: false, nextDueAt: null }

interface Wish {
  readonly pass: Loop['pass']
  readonly parallel?: number
  readonly acts?: boolean
  /** Called whenever it has asked the database for rows. */
  readonly beat?: () => void
  readonly clock?: Clock
}

function drive({ pass, parallel = 4, acts = true, beat, clock = systemClock }: Wish): Driver {
  const loop: Loop = { name: 'test', everyMs: 1_000, parallel, holdMs: 5_000, acts, pass }
  const continuity = new Continuity(0)
  if (beat) vi.spyOn(continuity, 'beat').mockImplementation(beat)
  const deps = {
    db: base.store.db,
    clock,
    log: makeLog('test', 'silent'),
    server: 'here',
    realms: [],
    continuity,
  }
  const driver = new Driver(deps, loop)
  drivers.push(driver)
  return driver
}

const addRow = (rowId: string) => enrol(base.store.db, 'test', rowId, systemClock.now())
const claimsOf = () => base.store.db.selectFrom('claims').selectAll().execute()
const soon = { timeout: 5_000, interval: 10 }

describe('a row that rests', () => {
  /** How much later than its loop said the row is looked at again, beside so many others that rest. */
  async function timesAsLong(others: number, rests: boolean): Promise<number> {
    await addRow('a')
    const dueAt = new Date(systemClock.now() + 3_600_000)
    const rows = Array.from({ length: others }, (_, i) => ({ loop: 'test', row_id: `b${i}`, due_at: dueAt }))
    await base.store.db.insertInto('claims').values(rows).execute()
    const restMs = 60_000
    let from = 0
    drive({
      pass: async () => {
        from = systemClock.now()
        return { moved: false, nextDueAt: from + restMs, rests }
      },
    })
    const rest = async () => ((await claimsOf()).find(({ row_id }) => row_id === 'a')?.due_at ?? 0) - from
    await vi.waitFor(async () => assert.ok(from > 0 && (await rest()) > restMs / 2), soon)
    return Math.round((await rest()) / restMs)
  }

  test('is looked at as often as its loop says beside few others', async () => {
    assert.equal(await timesAsLong(400, true), 1)
  })

  test('is looked at so much less often as there are more of them', async () => {
    assert.equal(await timesAsLong(4_999, true), 10)
  })

  test('but not where something is due of it', async () => {
    assert.equal(await timesAsLong(4_999, false), 1)
  })
})

describe('nudges', () => {
  test('one that comes while its row is being passed over leads to another pass', async () => {
    const gate = Promise.withResolvers<void>()
    let passes = 0
    await addRow('a')
    const driver = drive({
      pass: async () => {
        passes += 1
        if (passes === 1) await gate.promise
        return resting
      },
    })
    await vi.waitFor(() => assert.equal(passes, 1), soon)
    await nudge(base.store.db, 'test', ['a'], systemClock.now())
    driver.nudge()
    gate.resolve()
    await vi.waitFor(() => assert.equal(passes, 2), soon)
  })

  test('one that never arrives costs a second at most', async () => {
    let passes = 0
    drive({
      pass: async () => {
        passes += 1
        return resting
      },
    })
    await addRow('a')
    await vi.waitFor(() => assert.equal(passes, 1), soon)
  })

  test('a row that is due later is passed over then, and not before', async () => {
    const begun = systemClock.now()
    const passedAt: number[] = []
    await addRow('a')
    drive({
      pass: async () => {
        passedAt.push(systemClock.now())
        return { moved: false, nextDueAt: passedAt.length === 1 ? begun + 400 : null }
      },
    })
    await vi.waitFor(() => assert.equal(passedAt.length, 2), soon)
    assert.ok((passedAt[1] ?? 0) >= begun + 400)
  })
})

test('no more rows are passed over at once than the loop allows, and all get their turn', async () => {
  const passed: string[] = []
  let running = 0
  let most = 0
  for (let i = 0; i < 10; i++) await addRow(`row${i}`)
  drive({
    parallel: 3,
    pass: async ({ rowId }) => {
      running += 1
      most = Math.max(most, running)
      // Other passes are given the chance to begin, as a call to a cloud would give it.
      await base.store.db.selectFrom('claims').select('row_id').execute()
      running -= 1
      passed.push(rowId)
      return resting
    },
  })
  await vi.waitFor(() => assert.equal(passed.length, 10), soon)
  assert.equal(new Set(passed).size, 10)
  assert.ok(most <= 3, `${most} at once`)
})

test('a pass that fails is told with its error, and its row waits before it is passed over again', async () => {
  await addRow('a')
  const begun = systemClock.now()
  drive({ pass: () => Promise.reject(new Error('the cloud fell over')) })
  await vi.waitFor(async () => {
    const [told] = await base.store.db.selectFrom('passes').selectAll().execute()
    assert.deepEqual([told?.loop, told?.server, told?.error], ['test', 'here', 'the cloud fell over'])
  }, soon)
  const [claim] = await claimsOf()
  assert.equal(claim?.token, null)
  assert.ok((claim?.due_at ?? 0) >= begun + 2_000)
})

describe('while automation is paused', () => {
  const pause = (paused: boolean) =>
    base.store.db.transaction().execute((tx) => setPaused(tx, paused, 'somebody', 'a test'))
  beforeEach(async () => {
    await ensureInstall(base.store.db, 'key', systemClock.now())
    await pause(true)
  })

  test('a loop that acts takes no row, whatever it was told or not, and goes on when it is resumed', async () => {
    let passes = 0
    let looks = 0
    await addRow('a')
    const driver = drive({
      pass: async () => {
        passes += 1
        return resting
      },
      beat: () => {
        looks += 1
      },
    })
    await vi.waitFor(() => assert.ok(looks >= 2), soon)
    driver.nudge()
    await vi.waitFor(() => assert.ok(looks >= 4), soon)
    assert.equal(passes, 0)
    // Nobody tells it: a notification may be lost with the connection that should have brought it.
    await pause(false)
    await vi.waitFor(() => assert.equal(passes, 1), soon)
  })

  test('a loop that only watches goes on', async () => {
    let passes = 0
    await addRow('a')
    drive({
      acts: false,
      pass: async () => {
        passes += 1
        return resting
      },
    })
    await vi.waitFor(() => assert.equal(passes, 1), soon)
  })
})

test('stopping waits for the pass that is under way, and takes no further row', async () => {
  const gate = Promise.withResolvers<void>()
  const told: string[] = []
  await addRow('a')
  const driver = drive({
    parallel: 1,
    pass: async ({ rowId }) => {
      told.push(`${rowId} begins`)
      await gate.promise
      told.push(`${rowId} ends`)
      return resting
    },
  })
  await vi.waitFor(() => assert.deepEqual(told, ['a begins']), soon)
  await addRow('b')
  const stopped = driver.stop().then(() => told.push('stopped'))
  gate.resolve()
  await stopped
  assert.deepEqual(told, ['a begins', 'a ends', 'stopped'])
  assert.ok((await claimsOf()).every(({ token }) => token === null))
})

test('a row whose holder died is taken again once its claim has run out', async () => {
  await addRow('a')
  const before = systemClock.now() - 1_000
  await nudge(base.store.db, 'test', ['a'], before)
  assert.equal(
    (await claimDue(base.store.db, 'test', 1, systemClock.now(), 300, { holder: 'dead', realms: [], acts: true }))
      .length,
    1,
  )
  const begun = systemClock.now()
  let passedAt = 0
  drive({
    pass: async () => {
      passedAt = systemClock.now()
      return resting
    },
  })
  await vi.waitFor(() => assert.ok(passedAt > 0), soon)
  assert.ok(passedAt >= begun + 200)
})

test('a clock that is set back by an hour, between two looks, stops no loop: what is due by then is looked at at once', async () => {
  let wrongByMs = 3_600_000
  let passes = 0
  const clock = { now: () => systemClock.now() + wrongByMs, monotonicMs: () => systemClock.monotonicMs() }
  await enrol(base.store.db, 'test', 'a', clock.now())
  drive({
    clock,
    pass: async () => {
      passes += 1
      return { moved: false, nextDueAt: clock.now() + 60_000 }
    },
  })
  await vi.waitFor(async () => {
    const [claim] = await claimsOf()
    assert.ok(passes === 1 && claim?.token === null)
  }, soon)
  wrongByMs = 0
  await vi.waitFor(() => assert.equal(passes, 2), soon)
})
