import { afterEach, beforeEach, expect, test } from 'vitest'
import { builtInRecipe } from '../core/recipe.ts'
import { putSecretRow, secretLabel } from '../store/secrets.ts'
import { addNode, gpuOffer, setNodeState, type TestWorld, testSettings, testWorld } from '../store/world-for-tests.ts'
import { joinReply } from '../wire/agent.ts'
import { makeJoins } from './join.ts'
import { gpu, joinRequest } from './messages-for-tests.ts'

let world: TestWorld
beforeEach(async () => {
  world = await testWorld()
})
afterEach(() => world.drop())

const db = () => world.deps.store.db
const node = (id: string) => db().selectFrom('nodes').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const kinds = async () => (await db().selectFrom('events').select('kind').orderBy('id').execute()).map((e) => e.kind)
const audited = () => db().selectFrom('audit').select(['who', 'action', 'address']).orderBy('id').execute()
const join = (token: string, over = {}, address = '10.9.9.9') =>
  makeJoins(world.deps).join(token, joinRequest(over), address)

test('a join is exchanged for a credential, the engine to start, and the secrets', async () => {
  const { nodeId, joinToken } = await addNode(world, { engineArgs: { seed: 5 } })
  await db()
    .insertInto('gateways')
    .values([
      { id: 'gw-1', url: 'http://a', started_at: new Date(0), seen_at: new Date(world.deps.clock.now()) },
      { id: 'gw-2', url: 'http://b', started_at: new Date(0), seen_at: new Date(world.deps.clock.now() - 61_000) },
    ])
    .execute()
  const reply = await join(joinToken)
  expect(reply).toMatchObject({
    nodeId,
    credential: expect.stringMatching(new RegExp(`^fd_node_${nodeId}\\..{40,}`)),
    engine: {
      engine: 'sim',
      servedName: 'sim-small',
      env: { SIM_SPEED: '1' },
      healthPath: '/health',
      maxRestarts: 3,
    },
    secrets: {},
    gateways: [{ id: 'gw-1', url: 'http://a', fingerprint: null }],
    heartbeatMs: 10_000,
  })
  expect(reply.engine.argv.join(' ')).toBe(
    'engine-sim --model sim-small --served-model-name sim-small --host 127.0.0.1 --port {port} --max-model-len 1024 --seed 5',
  )
  const now = world.deps.clock.now()
  expect(await node(nodeId)).toMatchObject({
    joined_at: now,
    first_seen_at: now,
    incarnation: 'incarnation-1',
    hostname: 'box',
    cpus: 8,
    addresses: ['10.9.9.9'],
    failure: null,
  })
  expect(await kinds()).toContain('node.joined')
})

test('where its cloud has a recipe for the engine, the join tells what is to be installed; else it tells nothing', async () => {
  const [stage] = builtInRecipe('vllm').stages
  const stages = stage ? [stage] : []
  const recipe = {
    name: 'mine',
    engine: 'sim' as const,
    command: ['{env}/sim'],
    env: {},
    folder: '/scratch',
    stages,
    needs: null,
    fetchesModels: false,
  }
  const first = await addNode(world)
  expect((await join(first.joinToken)).install).toBe(null)
  const deps = { ...world.deps, settings: { ...world.deps.settings, recipes: { local: { sim: recipe } } } }
  const second = await addNode(world)
  const reply = await makeJoins(deps).join(second.joinToken, joinRequest(), '10.9.9.9')
  expect(reply.install).toEqual({ folder: '/scratch', stages })
  expect(reply.engine.argv[0]).toBe('{env}/sim')
  expect(joinReply.parse(reply).install).toEqual(reply.install)
})

test('a machine is paid for from its join on, if the cloud had not shown it before', async () => {
  const { nodeId, joinToken } = await addNode(world)
  await join(joinToken)
  const ledger = await db().selectFrom('ledger').select(['node_id', 'duty', 'opened_at', 'closed_at']).execute()
  expect(ledger).toEqual([{ node_id: nodeId, duty: 'starting', opened_at: world.deps.clock.now(), closed_at: null }])
})

test('a bill says who launched what where, on which machine, at the price of the launch', async () => {
  const { nodeId, launchId, deploymentId, joinToken } = await addNode(world, {
    offer: { ...gpuOffer, instanceType: 'p4de.24xlarge' },
  })
  const gpus = [gpu('NVIDIA A100-SXM4-80GB', 81_920, 0), gpu('NVIDIA A100-SXM4-80GB', 81_920, 1)]
  const { hardware } = joinRequest({})
  await join(joinToken, { hardware: { ...hardware, gpus } })
  expect(await db().selectFrom('ledger').selectAll().executeTakeFirstOrThrow()).toMatchObject({
    node_id: nodeId,
    launch_id: launchId,
    deployment_id: deploymentId,
    tenant_id: world.actor.tenantId,
    requested_by: world.actor.name,
    cloud: 'sky',
    region: 'eu',
    instance_type: 'p4de.24xlarge',
    spot: false,
    price_per_hour_micro_usd: 3_000_000,
  })
})

test('one token lets one agent in, however many come at once', async () => {
  const { joinToken } = await addNode(world)
  const all = await Promise.allSettled(
    ['aaaaaaaa', 'bbbbbbbb', 'cccccccc'].map((instance) => join(joinToken, { instance })),
  )
  expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  for (const refused of all.filter(({ status }) => status === 'rejected'))
    expect(refused).toMatchObject({ reason: { code: 'join_token_refused', status: 401 } })
})

test('the same agent may repeat its join for a minute and gets the same credential', async () => {
  const { nodeId, joinToken } = await addNode(world)
  const first = await join(joinToken)
  world.deps.clock.pass(60_000)
  expect((await join(joinToken, { incarnation: 'incarnation-2' })).credential).toBe(first.credential)
  expect(await node(nodeId)).toMatchObject({
    incarnation: 'incarnation-2',
    join_used_at: world.deps.clock.now() - 60_000,
  })
  world.deps.clock.pass(1)
  await expect(join(joinToken)).rejects.toMatchObject({ code: 'join_token_refused' })
  expect(await db().selectFrom('ledger').select('id').execute()).toHaveLength(1)
})

test('a token that is used again, has expired or was guessed is refused, audited and shown', async () => {
  const used = await addNode(world, { deployment: 'a' })
  const late = await addNode(world, { deployment: 'b' })
  await join(used.joinToken)
  const joins = makeJoins(world.deps)
  const refusedJoin = (token: string, instance = 'somebody-else') =>
    expect(joins.join(token, joinRequest({ instance }), '6.6.6.6')).rejects.toMatchObject({
      code: 'join_token_refused',
    })
  await refusedJoin(used.joinToken)
  await refusedJoin(used.joinToken)
  world.deps.clock.pass(600_001)
  await refusedJoin(late.joinToken)
  await refusedJoin(late.joinToken.slice(0, -1))
  await refusedJoin('fd_join_no-nope.xxxx')
  for (const nonsense of ['', 'fd_join_', 'x', late.joinToken.replace('fd_join', 'fd_node')])
    await refusedJoin(nonsense)
  const refusals = (await audited()).filter(({ action }) => action === 'node.join_refused')
  expect(refusals).toEqual([
    { who: `node:${used.nodeId}`, action: 'node.join_refused', address: '6.6.6.6' },
    { who: `node:${late.nodeId}`, action: 'node.join_refused', address: '6.6.6.6' },
    { who: 'node:no-nope', action: 'node.join_refused', address: '6.6.6.6' },
  ])
  const shown = await db().selectFrom('events').select('node_id').where('kind', '=', 'node.join_refused').execute()
  expect(shown.map(({ node_id }) => node_id)).toEqual([used.nodeId, late.nodeId, 'no-nope'])
})

test('a machine that nobody wants any more is told so, and is paid for as long as it is there', async () => {
  const { nodeId, joinToken } = await addNode(world, { state: 'releasing' })
  await expect(join(joinToken)).rejects.toMatchObject({ code: 'node_released', status: 410 })
  expect(await node(nodeId)).toMatchObject({
    joined_at: null,
    join_used_at: null,
    first_seen_at: world.deps.clock.now(),
  })
  expect(await db().selectFrom('ledger').select('duty').execute()).toEqual([{ duty: 'ending' }])
  await setNodeState(world.deps.store, nodeId, 'booting')
  await db().updateTable('nodes').set({ unwanted_at: new Date() }).execute()
  await expect(join(joinToken)).rejects.toMatchObject({ code: 'node_released' })
})

test('who comes with a token that has expired fails its node with that cause, and is paid for as long as it is there', async () => {
  const { nodeId, joinToken } = await addNode(world)
  world.deps.clock.pass(600_001)
  await expect(join(`${joinToken.slice(0, -4)}xxxx`)).rejects.toMatchObject({ code: 'join_token_refused' })
  expect((await node(nodeId)).failure).toBeNull()
  await expect(join(joinToken)).rejects.toMatchObject({ code: 'join_token_refused' })
  expect(await node(nodeId)).toMatchObject({
    failure: {
      code: 'join_token_expired',
      cause: expect.stringContaining('its join token had expired'),
      remedy: expect.stringContaining('--time-limit'),
    },
    joined_at: null,
    credential_hash: null,
    first_seen_at: world.deps.clock.now(),
  })
  expect(await kinds()).toEqual(expect.arrayContaining(['node.failure', 'node.join_refused']))
})

test('a token is good for as much longer as its ask waited in the queue of the cloud’s own server', async () => {
  const { nodeId, joinToken } = await addNode(world)
  const askedAt = world.deps.clock.now()
  world.deps.clock.pass(900_000)
  const waited = { asked_at: new Date(askedAt), queued_until: new Date(askedAt + 300_000) }
  await db().updateTable('nodes').set(waited).where('id', '=', nodeId).execute()
  expect(await join(joinToken)).toMatchObject({ nodeId })
})

test('hardware that was not ordered fails the node, though it may join', async () => {
  const two = [gpu('NVIDIA A100-SXM4-80GB', 81_920), gpu('NVIDIA A100-SXM4-80GB', 81_920, 1)]
  const hardware = (gpus: ReturnType<typeof gpu>[]) => ({ hardware: { ...joinRequest().hardware, gpus } })
  // The order says A100-80GB; what names it is in the driver's name, in another order of words.
  const offer = { ...gpuOffer, gpu: 'A100' }
  const good = await addNode(world, { offer, deployment: 'a' })
  await join(good.joinToken, hardware(two))
  expect((await node(good.nodeId)).failure).toBeNull()
  const bad = await addNode(world, { offer, deployment: 'b' })
  await join(bad.joinToken, hardware(two.slice(1)))
  expect(await node(bad.nodeId)).toMatchObject({
    failure: { code: 'hardware_mismatch', retry: 'elsewhere' },
    joined_at: world.deps.clock.now(),
  })
  expect(await kinds()).toContain('node.failure')
})

test('a model that left the configuration fails the node in words, instead of letting it wait', async () => {
  const { nodeId, joinToken } = await addNode(world)
  world.deps.settings = { ...testSettings, models: [] }
  await expect(join(joinToken)).rejects.toMatchObject({ code: 'unknown_model' })
  expect(await node(nodeId)).toMatchObject({ failure: { code: 'unknown_model' }, joined_at: null })
})

test("a secret's value leaves in the reply to a join and is nowhere else", async () => {
  const { joinToken } = await addNode(world)
  const sealed = world.deps.vault.seal(secretLabel('HF_TOKEN'), 'hf_canary_value')
  await db()
    .transaction()
    .execute((tx) => putSecretRow(tx, { tenantId: 'te-default', name: 'HF_TOKEN', sealed }, 0))
  const { secrets, credential, ...rest } = await join(joinToken)
  expect(secrets).toEqual({ HF_TOKEN: 'hf_canary_value' })
  const told = await Promise.all(
    (['audit', 'events', 'nodes', 'launches'] as const).map((table) => db().selectFrom(table).selectAll().execute()),
  )
  const text = JSON.stringify([rest, told])
  expect(text).toContain('HF_TOKEN')
  for (const canary of ['hf_canary_value', credential, joinToken]) expect(text).not.toContain(canary)
})
