import { expect, test } from 'vitest'
import { type LoopName, loopActs } from '../core/loop-table.ts'
import type { LoopRow } from '../store/read-status.ts'
import { presentStatus } from './present-status.ts'

const now = 1_800_000_000_000

const loop = (over: Partial<LoopRow>): LoopRow => ({
  loop: 'node',
  server: 'a',
  at: now,
  tookMs: 1,
  moved: 0,
  everyMs: 1_000,
  error: null,
  dueSince: null,
  ...over,
})

function statusOf(loops: LoopRow[], paused: boolean) {
  const row = {
    install: 'i',
    paused,
    pausedReason: null,
    guard: null,
    guardHolds: [],
    sweepArmed: true,
    orphans: [],
    silentClouds: [],
    burnPerHourMicroUsd: 0,
  }
  const waits = () => ({ count: 0, totalMs: 0 })
  const pool = { size: 1, waitingNow: () => 0, longestWaitMs: () => 0, waits, statements: () => 0 }
  return presentStatus(
    { ...row, nodes: [], living: [], launches: [], loops, gateways: [] },
    { now, databaseKind: 'given', pool, tableVersion: null },
  )
}

test('while automation is paused, loops that act are paused and not late; those that watch are late as ever', () => {
  const loops = Object.keys(loopActs).map((name) => loop({ loop: name, dueSince: now - 60_000 }))
  for (const { loop, late, paused } of statusOf(loops, true).loops)
    expect([loop, late, paused]).toEqual([loop, !loopActs[loop as LoopName], loopActs[loop as LoopName]])
  for (const { late, paused } of statusOf(loops, false).loops) expect([late, paused]).toEqual([true, false])
})

test('a loop is late when due rows are left alone, not when there is nothing to do; a server that left is not shown', () => {
  const day = 86_400_000
  const loops = [
    loop({ at: now - day, server: 'left' }),
    loop({ dueSince: now - 4_000 }),
    loop({ loop: 'sight', at: now - day }),
  ]
  const view = statusOf(loops, false)
  expect(view.loops.map((shown) => [shown.loop, shown.server, shown.late])).toEqual([
    ['node', 'a', true],
    ['sight', 'a', false],
  ])
  expect(view.nodes.ready).toBe(0)
})
