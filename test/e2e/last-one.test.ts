import { afterAll, beforeAll, expect, test } from 'vitest'
import { begunStream } from './begun-stream.ts'
import { type Plane, startPlane, until } from './plane.ts'

let plane: Plane
beforeAll(async () => {
  // Agents speak so rarely that only gateways can tell of a request that has just come.
  plane = await startPlane({ scripts: { spoken: { tokensPerS: 10 } }, config: { heartbeatS: 30 } })
})
afterAll(() => plane?.end())

const status = () => plane.client.status()

/** What is open now has been told. */
async function reported(): Promise<void> {
  const from = Date.now()
  await until(
    async () => (await status()).gateways.every(({ seenAt }) => Date.parse(seenAt) > from + 100),
    20_000,
    () => 'the gateway does not report',
  )
}

async function lookedAt(): Promise<void> {
  const from = Date.now()
  const lastPassAt = async () => (await status()).loops.find(({ loop }) => loop === 'deployment')?.lastPassAt ?? ''
  await until(
    async () => Date.parse(await lastPassAt()) > from + 100,
    30_000,
    () => 'the deployment is not looked at',
  )
}

test('the last replica stays ready while a stream is open at it, of which only the gateway knows, and goes after it', async () => {
  const { id } = await plane.client.createDeployment({ body: { name: 'spoken', model: 'spoken', wanted: 1 } })
  const nodes = async () => (await plane.client.listNodes({ query: {} })).items
  await until(
    async () => (await nodes())[0]?.state === 'ready',
    60_000,
    () => 'it is never ready',
  )
  const [node] = await nodes()
  const key = await plane.key()
  const stream = await begunStream(await plane.chat('spoken', key, { stream: true, max_tokens: 400 }))
  await reported()
  await plane.client.scaleDeployment({ params: { id }, body: { wanted: 0 } })
  await lookedAt()
  expect(await nodes()).toMatchObject([{ id: node?.id, state: 'ready', inFlight: 0 }])
  expect((await plane.chat('spoken', key)).status).toBe(200)
  expect((await stream.whole).trimEnd().endsWith('data: [DONE]')).toBe(true)
  await until(
    async () => (await nodes()).length === 0,
    60_000,
    () => 'it stays although nothing is open',
  )
}, 240_000)
