import assert from 'node:assert/strict'
import { afterEach, beforeEach, vi } from 'vitest'
import type { AskSeen, ListedMachine } from '../src/clouds/cloud.ts'
import { SkyApi } from '../src/clouds/skypilot/api.ts'
import { SkyLaunches } from '../src/clouds/skypilot/launches.ts'
import { SkyCloud } from '../src/clouds/skypilot/skypilot.ts'
import type { CloudTraits } from '../src/core/decide-node.ts'
import type { Offer } from '../src/core/offer.ts'
import { randomName } from '../src/lib/chance.ts'
import { systemClock } from '../src/lib/clock.ts'
import { SimSkyPilot } from '../src/sim/skypilot.ts'
import { skyTask } from './sky-task.ts'

const deadline = { timeout: 10_000, interval: 10 }
const prefix = 'fd-tests-'
const traits: CloudTraits = {
  confirmGoneMs: 100,
  listingLagMs: 100,
  askLimitMs: 1_000,
  requestLimitMs: 10_000,
  bootLimitMs: 10_000,
  loadLimitMs: 10_000,
  drainLimitMs: 1_000,
  lookMs: 1_000,
  lookFastMs: 50,
}

/** The fake API server of each test; `later` is added to the clock: what is waited for in minutes has passed. */
export const server = { sky: new SimSkyPilot(), url: '', later: 0 }
const open: SkyLaunches[] = []
const clock = {
  ...systemClock,
  now: () => systemClock.now() + server.later,
  monotonicMs: () => systemClock.monotonicMs() + server.later,
}

/** Every test of the file that calls this has a server of its own. */
export function startServers(): void {
  beforeEach(async () => {
    Object.assign(server, { sky: new SimSkyPilot(), later: 0 })
    server.url = await server.sky.start()
  })
  afterEach(async () => {
    for (const launches of open.splice(0)) launches.close()
    await server.sky.stop()
  })
}

/** A control plane's process: another one knows nothing of what this one has seen. */
export function process(token?: string, name = 'slurm', host: Partial<typeof skyTask> = {}): SkyCloud {
  const auth = token === undefined ? {} : { token }
  const api = new SkyApi({ url: server.url, userId: 'f11e4dec', command: 'flightdeck tests', ...auth })
  const launches = new SkyLaunches(api, clock, prefix)
  open.push(launches)
  return new SkyCloud({
    api,
    launches,
    clock,
    cloud: name,
    task: { ...skyTask, ...host },
    regions: [],
    gpus: [],
    spot: true,
    traits,
  })
}

/** Somebody who uses the same server launches under a name of ours. */
export async function launchedByOthers(name: string, token?: string): Promise<void> {
  const auth = token === undefined ? {} : { token }
  const api = new SkyApi({ url: server.url, userId: '0be5e55e', command: 'sky launch', ...auth })
  await api.launch({ clusterName: name, task: 'infra: "slurm/lab/main"' })
}

export const newName = () => prefix + randomName(6)

export async function offerAt(cloud: SkyCloud, region: string): Promise<Offer> {
  const found = (await cloud.offers()).find((offer) => offer.region === region)
  assert.ok(found)
  return found
}

export async function asked(cloud = process(), name = newName(), region = 'lab/main'): Promise<string> {
  const answer = await cloud.ensureMachine({ name, offer: await offerAt(cloud, region), joinToken: 'fd_join_x' })
  assert.deepEqual(answer, { accepted: true })
  return name
}

export const until = (what: string, holds: () => Promise<boolean>) =>
  vi.waitFor(async () => assert.ok(await holds(), what), deadline)

export async function seen(cloud: SkyCloud, name: string, doubted: string[] = []): Promise<ListedMachine | undefined> {
  return (await cloud.listMachines({ doubted, expected: [] })).find((one) => one.name === name)
}

export async function seenAs(cloud: SkyCloud, name: string, wanted: Partial<AskSeen>): Promise<AskSeen> {
  let ask: AskSeen | undefined
  await until(`${name} is ${JSON.stringify(wanted)}`, async () => {
    ask = (await seen(cloud, name))?.ask
    return Object.entries(wanted).every(([key, value]) => ask?.[key as keyof AskSeen] === value)
  })
  return ask as AskSeen
}

export async function refused(cloud: SkyCloud, name: string): Promise<NonNullable<AskSeen['refusal']>> {
  await until(`${name} is refused`, async () => Boolean((await seen(cloud, name))?.ask?.refusal))
  const refusal = (await seen(cloud, name))?.ask?.refusal
  assert.ok(refusal)
  return refusal
}

/** As the node loop does it: asked for until nothing is there any more. */
export async function goes(cloud: SkyCloud, name: string): Promise<void> {
  await until(`${name} is gone`, async () => {
    await cloud.ensureGone(name)
    // Two ends within a moment are one; the loop comes back later.
    server.later += 5_000
    const ask = (await seen(cloud, name))?.ask
    return !ask || !(ask.machine || ask.open)
  })
  assert.equal(server.sky.machines.has(name), false, 'a machine is left running')
}
