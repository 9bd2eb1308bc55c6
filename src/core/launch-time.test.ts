import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { attemptLimitMs, deadlineFrom, deadlineOf, launchTime, warningsOfTime } from './launch-time.ts'
import type { Offer } from './offer.ts'
import { defaultSettings } from './settings.ts'

const min = 60_000
// Bare metal of Vultr with the recipe that installs vLLM, and an ordinary cloud with an image.
const vultr = attemptLimitMs({ requestLimitMs: 55 * min, bootLimitMs: 10 * min, loadLimitMs: 80 * min })
const aws = attemptLimitMs({ requestLimitMs: 10 * min, bootLimitMs: 10 * min, loadLimitMs: 20 * min })
const offer = (cloud: string, limitMs: number): Offer => ({
  id: cloud,
  cloud,
  region: 'r',
  gpu: 'H100',
  gpuCount: 1,
  vramGib: 80,
  spot: false,
  pricePerHourMicroUsd: 1,
  available: null,
  attemptLimitMs: limitMs,
})
const settings = { ...defaultSettings, retry: { ...defaultSettings.retry, rounds: 2, triesPerOffer: 1 } }

describe('without an operator’s word', () => {
  test('a launch may take what all its tries may take by their own limits, and its waits do not count', () => {
    const one = launchTime(settings, undefined, [offer('vultr', vultr)])
    assert.deepEqual(one, { limitMs: 2 * 145 * min, waitsCount: false })
    const both = launchTime(settings, undefined, [offer('aws', aws), offer('vultr', vultr)])
    assert.deepEqual(
      both,
      { limitMs: 6 * 60 * min, waitsCount: false },
      'no longer than the longest that is configured',
    )
    assert.deepEqual(warningsOfTime(both, [offer('vultr', vultr)]), [])
  })

  test('offers that an earlier version read are given what it gave', () => {
    const { attemptLimitMs: _, ...old } = offer('aws', aws)
    assert.equal(launchTime(settings, undefined, [old]).limitMs, 2 * 30 * min)
  })
})

describe('a limit that an operator sets', () => {
  test('is a hard one, by the request before the configuration', () => {
    const configured = { ...settings, launchTimeLimitS: 900 }
    assert.deepEqual(launchTime(configured, undefined, [offer('vultr', vultr)]), {
      limitMs: 15 * min,
      waitsCount: true,
    })
    assert.deepEqual(launchTime(configured, 60, [offer('vultr', vultr)]), { limitMs: min, waitsCount: true })
  })

  test('that is shorter than one attempt may take is warned of, with the clouds that it would cut short', () => {
    const offers = [offer('aws', aws), offer('vultr', vultr)]
    const [warning, ...more] = warningsOfTime(launchTime(settings, 1_800, offers), offers)
    assert.match(warning ?? '', /30 min is shorter than .* aws \(40 min\), vultr \(145 min\).*--time-limit/)
    assert.deepEqual(more, [])
    assert.match(warningsOfTime({ limitMs: min, waitsCount: false }, offers)[0] ?? '', /launch\.maxTimeLimitS/)
    assert.deepEqual(warningsOfTime(launchTime(settings, 145 * 60, offers), offers), [])
  })
})

describe('the deadline', () => {
  const time = { limitMs: 145 * min, waitsCount: false }
  const asked = { askedAt: 100 * min, queuedUntil: null }

  test('of a hard limit is one moment, whatever is tried', () => {
    assert.equal(deadlineOf(5, { limitMs: 10, waitsCount: true }, [{ ...asked, openedAt: 6, closedAt: null }]), 15)
  })

  test('is nowhere while nothing is tried: no time runs in our queue or between two tries', () => {
    assert.equal(deadlineOf(0, time, []), null)
    assert.equal(deadlineOf(0, time, [{ ...asked, openedAt: 100 * min, closedAt: 155 * min }]), null)
  })

  test('stands as far from the begin of a try as there is time left, and moves on with the server’s own queue', () => {
    const first = { ...asked, openedAt: 100 * min, closedAt: 155 * min }
    const second = { openedAt: 200 * min, closedAt: null, askedAt: 200 * min, queuedUntil: null }
    assert.equal(deadlineOf(0, time, [first, second]), (200 + 145 - 55) * min)
    assert.equal(deadlineOf(0, time, [first, { ...second, queuedUntil: 230 * min }]), (230 + 145 - 55) * min)
    assert.equal(deadlineOf(0, time, [{ ...first, queuedUntil: 130 * min }, second]), (200 + 145 - 25) * min)
    assert.equal(deadlineFrom(0, time, [first], 200 * min), (200 + 145 - 55) * min)
  })

  test('is past once the tries have used everything up, so that no other one begins', () => {
    const all = { ...asked, openedAt: 100 * min, closedAt: 250 * min }
    assert.equal(deadlineOf(0, time, [all]), 245 * min)
  })
})
