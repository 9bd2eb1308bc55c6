import assert from 'node:assert/strict'
import { test } from 'vitest'
import { anyWish, type Offer, rankOffers, type Wish, whyNoOfferFits } from './offer.ts'

const base: Offer = {
  id: 'a',
  cloud: 'one',
  region: 'north',
  gpu: 'H100',
  gpuCount: 1,
  vramGib: 80,
  spot: false,
  pricePerHourMicroUsd: 3_000_000,
  available: null,
}
const offers: Offer[] = [
  base,
  { ...base, id: 'b', cloud: 'two', pricePerHourMicroUsd: 2_000_000 },
  { ...base, id: 'c', region: 'south', spot: true, pricePerHourMicroUsd: 1_000_000 },
  { ...base, id: 'd', gpu: 'A100', gpuCount: 8, pricePerHourMicroUsd: 2_000_000 },
]
const ids = (wish: Partial<Wish>, from = offers) => rankOffers(from, { ...anyWish, ...wish }).map(({ id }) => id)

test('without a wish all offers fit, the cheapest first, ties by id', () => {
  assert.deepEqual(ids({}), ['c', 'b', 'd', 'a'])
  assert.deepEqual(ids({}, [...offers].reverse()), ['c', 'b', 'd', 'a'])
})

test('the order of the wished clouds weighs more than the price', () => {
  assert.deepEqual(ids({ clouds: ['one', 'two'] }), ['c', 'd', 'a', 'b'])
  assert.deepEqual(ids({ clouds: ['two'] }), ['b'])
})

test('every wish leaves out what does not satisfy it', () => {
  assert.deepEqual(ids({ regions: ['south'] }), ['c'])
  assert.deepEqual(ids({ gpu: 'A100' }), ['d'])
  assert.deepEqual(ids({ gpuCount: 1 }), ['c', 'b', 'a'])
  assert.deepEqual(ids({ spot: 'only' }), ['c'])
  assert.deepEqual(ids({ spot: 'never' }), ['b', 'd', 'a'])
  assert.deepEqual(ids({ maxPricePerHourMicroUsd: 2_000_000 }), ['c', 'b', 'd'])
})

test('where nothing fits, the wishes that nothing satisfies are named', () => {
  const cause = (wish: Partial<Wish>, from = offers) => whyNoOfferFits(from, { ...anyWish, ...wish }).cause
  assert.equal(cause({ gpu: 'B200', regions: ['moon'] }), 'No offer has the wished region, GPU.')
  assert.equal(cause({ gpu: 'A100', spot: 'only' }), 'No single offer satisfies all wishes together.')
  assert.equal(cause({}, []), 'No cloud offers anything at the moment.')
})
