import assert from 'node:assert/strict'
import { test } from 'vitest'
import { failureRecord } from './failure.ts'
import { anyWish, isStale, type Offer, rankOffers, type Wish, whyNoOfferFits } from './offer.ts'

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

test('the order of each wished list weighs more than the price', () => {
  assert.deepEqual(ids({ clouds: ['one', 'two'] }), ['c', 'd', 'a', 'b'])
  assert.deepEqual(ids({ clouds: ['two'] }), ['b'])
  assert.deepEqual(ids({ regions: ['north', 'south'] }), ['b', 'd', 'a', 'c'])
  assert.deepEqual(ids({ gpus: ['A100', 'H100'] }), ['d', 'c', 'b', 'a'])
})

test('a launch falls back over spot or on demand last, before it over GPUs, then clouds, and over regions first', () => {
  const kinds = ['one', 'two'].flatMap((cloud) =>
    ['north', 'south'].flatMap((region) =>
      ['H100', 'A100'].flatMap((gpu) =>
        [true, false].map((spot) => ({ ...base, cloud, region, gpu, spot, id: [spot, gpu, cloud, region].join(' ') })),
      ),
    ),
  )
  const lists = { gpus: ['H100', 'A100'], clouds: ['two', 'one'], regions: ['south', 'north'] }
  const inOrder = [true, false].flatMap((spot) =>
    lists.gpus.flatMap((gpu) =>
      lists.clouds.flatMap((cloud) => lists.regions.map((region) => [spot, gpu, cloud, region].join(' '))),
    ),
  )
  assert.deepEqual(ids({ ...lists, spot: 'first' }, kinds), inOrder)
  const onDemandTwo = kinds.filter(({ cloud, spot }) => cloud === 'two' && !spot)
  assert.deepEqual(
    ids({ ...lists, spot: 'first' }, onDemandTwo),
    inOrder.slice(8).filter((id) => id.includes('two')),
  )
})

test('every wish leaves out what does not satisfy it', () => {
  assert.deepEqual(ids({ regions: ['south'] }), ['c'])
  assert.deepEqual(ids({ gpus: ['A100'] }), ['d'])
  assert.deepEqual(ids({ gpuCount: 1 }), ['c', 'b', 'a'])
  assert.deepEqual(ids({ spot: 'only' }), ['c'])
  assert.deepEqual(ids({ spot: 'never' }), ['b', 'd', 'a'])
  assert.deepEqual(ids({ spot: 'first' }), ['c', 'b', 'd', 'a'])
  assert.deepEqual(ids({ gpus: ['H100'] }, [{ ...base, gpu: null }]), [])
  assert.deepEqual(ids({ maxPricePerHourMicroUsd: 2_000_000 }), ['c', 'b', 'd'])
})

test('where nothing fits and a wished cloud offers nothing now, its cause and its remedy are told', () => {
  const failure = failureRecord('cloud_credentials', 'It is not enabled.', { remedy: 'sky check aws' })
  const reads = [
    { cloud: 'aws', readAt: null, failedAt: 1, failure },
    { cloud: 'one', readAt: 1, failedAt: null, failure: null },
  ]
  const why = (wish: Partial<Wish>) => whyNoOfferFits(offers, { ...anyWish, ...wish }, reads)
  assert.equal(why({ clouds: ['aws'] }).cause, 'No offer has the wished cloud. aws: It is not enabled.')
  assert.equal(why({ clouds: ['aws'] }).remedy, 'sky check aws')
  assert.equal(why({ clouds: ['one'], gpus: ['B200'] }).cause, 'No offer has the wished GPU.')
})

test('offers are stale when their cloud has not told them for minutes', () => {
  const read = { cloud: 'one', readAt: 1_000_000, failedAt: null, failure: null }
  assert.equal(isStale(read, 1_300_000), false)
  assert.equal(isStale(read, 1_300_001), true)
  assert.equal(isStale({ ...read, readAt: null }, 0), true)
})

test('where nothing fits, the wishes that nothing satisfies are named', () => {
  const cause = (wish: Partial<Wish>, from = offers) => whyNoOfferFits(from, { ...anyWish, ...wish }).cause
  assert.equal(cause({ gpus: ['B200'], regions: ['moon'] }), 'No offer has the wished region, GPU.')
  assert.equal(cause({ gpus: ['A100'], spot: 'only' }), 'No single offer satisfies all wishes together.')
  assert.equal(cause({}, []), 'No cloud offers anything at the moment.')
})

test('a place that refused lately comes after a dearer one, and after as dear a one even where nothing costs', () => {
  const standing = { factor: 2, refusals: 1, refusedAt: 1, refusedFor: 'no_capacity', gaveAt: null }
  const remembered = (id: string) => (offer: Offer) => (offer.id === id ? standing : null)
  assert.deepEqual(
    rankOffers(offers, anyWish, remembered('b')).map(({ id }) => id),
    ['c', 'd', 'a', 'b'],
  )
  const free = offers.slice(0, 2).map((offer) => ({ ...offer, pricePerHourMicroUsd: 0 }))
  assert.deepEqual(
    rankOffers(free, anyWish, remembered('a')).map((offer) => [offer.id, offer.standing]),
    [
      ['b', null],
      ['a', standing],
    ],
  )
})

test('the order that was wished weighs more than the memory, and what is taken now comes after what is not', () => {
  const standing = { factor: 64, refusals: 9, refusedAt: 1, refusedFor: 'no_capacity', gaveAt: null }
  const wish = { ...anyWish, clouds: ['two', 'one'] }
  assert.equal(rankOffers(offers, wish, ({ cloud }) => (cloud === 'two' ? standing : null))[0]?.id, 'b')
  const taken = offers.map((offer) => (offer.id === 'c' ? { ...offer, available: 0 } : offer))
  assert.deepEqual(ids({}, taken), ['b', 'd', 'a', 'c'])
})
