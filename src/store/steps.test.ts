import assert from 'node:assert/strict'
import { afterEach, beforeEach, test, vi } from 'vitest'
import { readAttempts } from './read-launches.ts'
import { saveSteps } from './steps.ts'
import { addNode, type TestWorld, testWorld } from './world-for-tests.ts'

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

async function starting(state: 'requesting' | 'gone' = 'requesting') {
  const { db } = world.deps.store
  const { nodeId } = await addNode(world, { state })
  const node = await db
    .selectFrom('nodes')
    .select(['name', 'launch_id'])
    .where('id', '=', nodeId)
    .executeTakeFirstOrThrow()
  const tell = async (n: number | null, text: string) => {
    world.deps.clock.pass(1_000)
    await saveSteps(db, [{ machine: node.name, n, text, at: world.deps.clock.now() }])
  }
  const told = async () =>
    (await readAttempts(db, node.launch_id)).flatMap(({ steps }) => steps.map(({ text }) => text))
  return { ...node, tell, told }
}

test('steps are told in their order, and one that is told again by whichever server adds nothing', async () => {
  const { tell, told } = await starting()
  await tell(0, 'Waiting')
  await tell(3, 'Launching')
  await tell(3, 'Launching')
  await tell(7, 'Instance is up.')
  assert.deepEqual(await told(), ['Waiting', 'Launching', 'Instance is up.'])
})

test('a step without a place follows the known ones, and is news only when it says something else', async () => {
  const { tell, told } = await starting()
  await tell(9, 'Job submitted')
  for (const text of ['The job runs', 'The job runs', 'unpacking', 'unpacking']) await tell(null, text)
  assert.deepEqual(await told(), ['Job submitted', 'The job runs', 'unpacking'])
})

test('what is told at once is kept as if it was told step by step, of several machines, too', async () => {
  const [one, other] = [await starting(), await starting()]
  const at = world.deps.clock.now()
  const step = (machine: string, n: number | null, text: string) => ({ machine, n, text, at })
  await saveSteps(world.deps.store.db, [
    step(one.name, 1, 'Optimizing'),
    step(other.name, 1, 'Optimizing'),
    step(one.name, 1, 'Optimizing'),
    step(one.name, 2, 'Launching'),
    step(one.name, null, 'The job runs'),
    step(one.name, null, 'The job runs'),
    step(other.name, 2, 'Launching'),
    step(one.name, null, 'unpacking'),
  ])
  assert.deepEqual(await one.told(), ['Optimizing', 'Launching', 'The job runs', 'unpacking'])
  assert.deepEqual(await other.told(), ['Optimizing', 'Launching'])
})

test('a machine that is gone or that nobody knows has no more steps', async () => {
  const { tell, told } = await starting('gone')
  await tell(1, 'Launching')
  await saveSteps(world.deps.store.db, [{ machine: 'fd-other-x', n: 1, text: 'Launching', at: 1 }])
  assert.deepEqual(await told(), [])
})

test('whoever follows the launch is told of each new step', async () => {
  const { tell, launch_id } = await starting()
  const heard: string[] = []
  const unlisten = await world.deps.store.listen((topic) => heard.push(topic))
  await tell(1, 'Launching')
  await vi.waitFor(() => assert.ok(heard.includes(`launch:${launch_id}`)))
  await unlisten()
})
