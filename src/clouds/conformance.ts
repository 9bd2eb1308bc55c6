import assert from 'node:assert/strict'
import type { Offer } from '../core/offer.ts'
import { type Cloud, maybeThere } from './cloud.ts'

/** A cloud to be judged, with what differs from one to another. */
export interface CloudOnTrial {
  readonly cloud: Cloud
  readonly offer: Offer
  /** A name that this install could have given. */
  readonly newName: () => string
  /** Lets time pass until the condition holds. @throws when it never does. */
  readonly until: (what: string, holds: () => Promise<boolean>) => Promise<void>
}

export interface CloudGuarantee {
  readonly title: string
  readonly check: (trial: CloudOnTrial) => Promise<void>
}

/** What the loops rely on, whosever machines they are. Every cloud passes all of it, in a test of its own. */
export const cloudGuarantees: readonly CloudGuarantee[] = [
  { title: 'what it offers names itself, has a price and an id of its own', check: offersAreSound },
  { title: 'its traits fit together', check: traitsFit },
  { title: 'a machine that was asked for is listed under our name', check: askedIsListed },
  { title: 'asking twice under one name makes one machine', check: askingTwiceIsHarmless },
  { title: 'asking twice at once under one name makes one machine', check: askingAtOnceIsHarmless },
  { title: 'the end of a machine that never was is a success', check: absentEndIsFine },
  { title: 'a machine whose end is asked for goes, and the others stay', check: endEndsOne },
  { title: 'asking for an end again, during and after it, is harmless', check: endingTwiceIsHarmless },
]

async function offersAreSound({ cloud }: CloudOnTrial): Promise<void> {
  const offers = await cloud.offers()
  assert.ok(offers.length > 0)
  assert.equal(new Set(offers.map(({ id }) => id)).size, offers.length)
  for (const offer of offers) {
    assert.equal(offer.cloud, cloud.name)
    assert.ok(Number.isInteger(offer.pricePerHourMicroUsd) && offer.pricePerHourMicroUsd >= 0)
    assert.equal(offer.gpu === null, offer.gpuCount === 0)
  }
}

async function traitsFit({ cloud }: CloudOnTrial): Promise<void> {
  const { traits } = cloud
  for (const [name, ms] of Object.entries(traits)) assert.ok(Number.isFinite(ms) && ms >= 0, name)
  assert.ok(traits.confirmGoneMs > 0, 'a single "not there" must not end a bill')
  assert.ok(traits.lookFastMs <= traits.lookMs)
  assert.ok(traits.requestLimitMs > traits.listingLagMs + traits.lookFastMs, 'a machine must have the time to be seen')
}

async function askedIsListed(trial: CloudOnTrial): Promise<void> {
  const name = await running(trial)
  const listed = await namesOf(trial.cloud)
  assert.deepEqual(
    listed.filter((one) => one === name),
    [name],
  )
}

async function askingTwiceIsHarmless(trial: CloudOnTrial): Promise<void> {
  const name = await running(trial)
  assert.deepEqual(await trial.cloud.ensureMachine(askFor(trial, name)), { accepted: true })
  assert.deepEqual(await namesOf(trial.cloud), [name])
}

async function askingAtOnceIsHarmless(trial: CloudOnTrial): Promise<void> {
  const name = trial.newName()
  const ask = askFor(trial, name)
  const answers = await Promise.all([trial.cloud.ensureMachine(ask), trial.cloud.ensureMachine(ask)])
  assert.deepEqual(answers, [{ accepted: true }, { accepted: true }])
  await trial.until(`${name} is listed`, () => isListed(trial.cloud, name))
  assert.equal((await namesOf(trial.cloud)).length, 1)
  await goes(trial, name)
}

async function absentEndIsFine(trial: CloudOnTrial): Promise<void> {
  const bystander = await running(trial)
  await trial.cloud.ensureGone(trial.newName())
  assert.deepEqual(await namesOf(trial.cloud), [bystander])
}

async function endEndsOne(trial: CloudOnTrial): Promise<void> {
  const one = await running(trial)
  const other = await running(trial)
  await goes(trial, one)
  assert.deepEqual(await namesOf(trial.cloud), [other])
}

async function endingTwiceIsHarmless(trial: CloudOnTrial): Promise<void> {
  const name = await running(trial)
  await Promise.all([trial.cloud.ensureGone(name), trial.cloud.ensureGone(name)])
  await goes(trial, name)
  await trial.cloud.ensureGone(name)
  assert.deepEqual(await namesOf(trial.cloud), [])
}

const askFor = ({ offer }: CloudOnTrial, name: string) => ({ name, offer, joinToken: 'fd_join_of_a_test' })
const namesOf = async (cloud: Cloud) => (await cloud.listMachines()).filter(maybeThere).map(({ name }) => name)
const isListed = async (cloud: Cloud, name: string) => (await namesOf(cloud)).includes(name)

async function running(trial: CloudOnTrial): Promise<string> {
  const name = trial.newName()
  assert.deepEqual(await trial.cloud.ensureMachine(askFor(trial, name)), { accepted: true })
  await trial.until(`${name} is listed`, () => isListed(trial.cloud, name))
  return name
}

/** As the loops do it: asked for again and again, until the cloud no longer lists it. */
async function goes(trial: CloudOnTrial, name: string): Promise<void> {
  await trial.until(`${name} is gone`, async () => {
    await trial.cloud.ensureGone(name)
    return !(await isListed(trial.cloud, name))
  })
}
