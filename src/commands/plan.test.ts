import { afterEach, beforeEach, expect, test } from 'vitest'
import { anyWish } from '../core/offer.ts'
import { type TestWorld, testWorld } from '../store/world-for-tests.ts'
import { type DeploymentRequest, deploymentRequest, type LaunchRequest, launchRequest } from '../wire/routes.ts'
import { createDeployment, pauseDeployment, scaleDeployment } from './deployments.ts'
import { createLaunch } from './launches.ts'
import { planLaunch } from './plan.ts'

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

const inSky = { ...anyWish, clouds: ['sky'], regions: [], gpus: [] }

const request = (over: Partial<LaunchRequest>) => ({ ...launchRequest.parse({ model: 'sim-small' }), ...over })
const plan = (over: Partial<LaunchRequest>, replicas?: number) =>
  planLaunch(world.deps, world.actor, request(over), replicas)

async function deployed(over: Partial<DeploymentRequest> = {}): Promise<string> {
  const body = { ...deploymentRequest.parse({ name: 'chat', model: 'sim-small', wanted: 2 }), ...over }
  const { deploymentId } = await createDeployment(world.deps, world.actor, body)
  return deploymentId
}

test('a plan says that its deployment is made, or how many it wants more', async () => {
  expect((await plan({})).becomes).toEqual({ id: null, wantedFrom: 0, wantedTo: 1 })
  expect((await plan({ deployment: 'chat' }, 3)).becomes).toEqual({ id: null, wantedFrom: 0, wantedTo: 3 })
  const id = await deployed({ engineArgs: { seed: 1 } })
  expect((await plan({ deployment: 'chat' })).becomes).toEqual({ id, wantedFrom: 2, wantedTo: 3 })
  const more = await plan({ deployment: 'chat' }, 3)
  expect(more).toMatchObject({ becomes: { id, wantedFrom: 2, wantedTo: 5 }, refusals: [] })
  expect(more.argv).toEqual(expect.arrayContaining(['--seed', '1']))
})

test('a deployment that runs something else refuses the launch in its plan as the launch does, with what to do', async () => {
  await deployed({ name: 'sim-small', engineArgs: { seed: 1 } })
  const others = [{}, { engineArgs: { seed: 2 } }, { deployment: 'sim-small', engineArgs: { seed: 2 } }]
  for (const other of others)
    for (const replicas of [1, 3]) {
      const { becomes, refusals, offers } = await plan(other, replicas)
      expect([becomes, refusals.map(({ code }) => code), offers.length]).toEqual([null, ['name_taken'], 2])
      expect(refusals[0]?.cause).toBe('The deployment "sim-small" runs sim-small on sim with seed=1.')
    }
  const [asPlanned] = (await plan({})).refusals
  await expect(createLaunch(world.deps, world.actor, request({}), null)).rejects.toMatchObject({ record: asPlanned })
})

test('several more replicas run where their deployment says and for as long, and what says otherwise is refused; one may differ', async () => {
  await deployed({ wish: inSky, timeLimitS: 600 })
  const as = async (over: Partial<LaunchRequest>, replicas: number) => {
    const { offers, timeLimitS, refusals } = await plan({ deployment: 'chat', ...over }, replicas)
    return [offers.map(({ cloud }) => cloud), timeLimitS, refusals.map(({ cause }) => cause)]
  }
  const asItSays = [['sky'], 600, []]
  expect(await as({}, 2)).toEqual(asItSays)
  expect(await as({ wish: inSky, timeLimitS: 600 }, 2)).toEqual(asItSays)
  const here = { ...inSky, clouds: ['local'] }
  expect((await as({ wish: here }, 2))[2]).toEqual([
    'The deployment "chat" has a choice of machines of its own, and this is another.',
  ])
  expect((await as({ timeLimitS: 60 }, 2))[2]).toEqual([
    'The deployment "chat" has a time limit of 10m00s for its launches, and this asks for 1m00s.',
  ])
  expect(await as({ wish: here, timeLimitS: 60 }, 1)).toEqual([['local'], 60, []])
})

test('replicas that would not come yet are warned of', async () => {
  const id = await deployed()
  const warnings = async () => (await plan({ deployment: 'chat' }, 2)).warnings
  expect(await warnings()).toEqual([])
  await pauseDeployment(world.deps, world.actor, id, true)
  expect(await warnings()).toEqual([
    expect.stringMatching(/^The deployment "chat" is paused: .*`flightdeck resume chat`/),
  ])
  await pauseDeployment(world.deps, world.actor, id, false)
  await world.deps.store.db.updateTable('deployments').set({ failures_in_a_row: 3 }).execute()
  expect(await warnings()).toEqual([expect.stringMatching(/^The deployment "chat" stopped after 3 failures in a row/)])
})

test('a model of another source is refused in its plan', async () => {
  const own = (source: string) => ({ model: 'mine', own: { source, engine: 'vllm' as const } })
  world.deps.settings = { ...world.deps.settings, engines: { vllm: { command: ['vllm'], env: {} } } }
  await deployed({ ...own('org/one') })
  expect((await plan({ ...own('org/one'), deployment: 'other' })).refusals).toEqual([])
  expect((await plan({ ...own('org/two'), deployment: 'other' })).refusals).toMatchObject([
    { code: 'name_taken', cause: 'The deployment "chat" serves org/one as "mine".' },
  ])
})

test('a deployment is scaled from what was seen, or not at all; asked again, it is as it was', async () => {
  const id = await deployed()
  const scale = (wanted: number, from?: number) => scaleDeployment(world.deps, world.actor, id, { wanted, from })
  await scale(5, 2)
  await scale(5, 2)
  await expect(scale(4, 2)).rejects.toMatchObject({
    code: 'wrong_state',
    record: { cause: 'The deployment "chat" wants 5 by now, not 2.' },
  })
  expect((await plan({ deployment: 'chat' }, 1)).becomes).toMatchObject({ wantedFrom: 5 })
})
