import assert from 'node:assert/strict'
import { test } from 'vitest'
import { anyWish, type Offer, rankOffers } from './offer.ts'
import type { Standing } from './offer-memory.ts'
import { reasonsFor } from './offer-reasons.ts'

const offer = (over: Partial<Offer> = {}): Offer => ({
  id: 'aws/eu/h100',
  cloud: 'aws',
  region: 'eu',
  gpu: 'H100',
  gpuCount: 1,
  vramGib: 80,
  spot: false,
  pricePerHourMicroUsd: 2_000_000,
  available: null,
  ...over,
})
const standing = (over: Partial<Standing>): Standing => ({
  factor: 1,
  refusals: 0,
  refusedAt: null,
  refusedFor: null,
  gaveAt: null,
  ...over,
})
const fitted = (of: Offer, known: Standing | null = null) => ({ ...of, standing: known, fit: null, unchecked: null })

test('an offer about which there is nothing to say but its price has no reasons', () => {
  assert.deepEqual(reasonsFor(fitted(offer()), anyWish), [])
  assert.deepEqual(reasonsFor(fitted(offer()), { ...anyWish, clouds: ['aws'] }), [])
})

test('each list of the wish says which place the offer has in it', () => {
  const wish = {
    ...anyWish,
    gpus: ['A100', 'H100'],
    clouds: ['gcp', 'aws'],
    regions: ['eu', 'us'],
    spot: 'first',
  } as const
  assert.deepEqual(reasonsFor(fitted(offer()), wish), [
    'On demand comes after spot, as wished.',
    'Its GPU is number 2 of 2 wished.',
    'Its cloud is number 2 of 2 wished.',
    'Its region is number 1 of 2 wished.',
  ])
})

test('what a cloud refused and gave lately is said with how it weighs', () => {
  const refused = standing({ factor: 3.8, refusals: 2, refusedAt: 1, refusedFor: 'no_capacity' })
  assert.deepEqual(reasonsFor(fitted(offer(), refused), anyWish), [
    'Its price counts 3.8 times: it was refused 2 times lately, last for no_capacity.',
  ])
  const gave = standing({ factor: 0.9, gaveAt: 1 })
  assert.deepEqual(reasonsFor(fitted(offer({ available: 0 }), gave), anyWish), [
    'None of it is free now.',
    'Its price counts 0.9 times: a machine came from there lately.',
  ])
})

test('whoever says why says all that decided: offers that differ in rank differ in a reason or in price', () => {
  const wish = { ...anyWish, clouds: ['gcp', 'aws'], regions: ['us', 'eu'] }
  const offers = ['gcp', 'aws'].flatMap((cloud) =>
    ['us', 'eu'].flatMap((region) =>
      [null, 0].map((available) => offer({ id: `${cloud}/${region}/${available}`, cloud, region, available })),
    ),
  )
  const words = rankOffers(offers, wish).map((one) =>
    reasonsFor({ ...one, fit: null, unchecked: null }, wish).join(' '),
  )
  assert.equal(new Set(words).size, offers.length)
})

test('an offer that cannot hold the model, and one that nobody checked, say so first', () => {
  const unchecked = { ...fitted(offer()), unchecked: 'nobody says how much memory X has' }
  assert.match(reasonsFor(unchecked, anyWish)[0] ?? '', /nobody says how much memory X has/)
})
