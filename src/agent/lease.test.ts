import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'vitest'
import { Lease, leaseAtStart } from './lease.ts'
import { NodeDisk } from './node-disk.ts'

const record = { renewedAt: 1_000_000, leaseMs: 100_000, graceTaken: false }

test('a restart neither lengthens nor shortens what is left', () => {
  assert.deepEqual(leaseAtStart(record, 100_000, 1_040_000), { leftMs: 60_000, graceTaken: false })
})

test('a clock that was set back does not lengthen it', () => {
  assert.equal(leaseAtStart(record, 100_000, 0).leftMs, 100_000)
})

test('after a long sleep there is one short chance to be heard, and only one', () => {
  const first = leaseAtStart(record, 100_000, 9_000_000)
  assert.deepEqual(first, { leftMs: 15_000, graceTaken: true })
  assert.equal(leaseAtStart({ ...record, graceTaken: true }, 100_000, 9_000_000).leftMs, 0)
})

test('a word renews it for its full length, and the new end outlives the process', () => {
  const dir = mkdtempSync(join(tmpdir(), 'fd-lease-'))
  const clock = { wall: 5_000, now: () => clock.wall, monotonicMs: () => clock.wall - 5_000 }
  const disk = new NodeDisk(dir)
  const lease = new Lease(disk, clock, 10_000)
  clock.wall += 9_000
  assert.equal(lease.leftMs(), 1_000)
  lease.renew()
  lease.save()
  clock.wall += 4_000
  assert.equal(new Lease(disk, clock, 10_000).leftMs(), 6_000)
  rmSync(dir, { recursive: true })
})
