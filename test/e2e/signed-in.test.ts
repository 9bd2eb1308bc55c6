import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwnPage, signIn } from '../../src/api/sign-in-for-tests.ts'
import { type Client, makeClient } from '../../src/wire/client.ts'
import { servedByHeader } from '../../src/wire/gateway.ts'
import { type Plane, startPlane, until } from './plane.ts'

let plane: Plane
beforeAll(async () => {
  plane = await startPlane({ scripts: { pair: { tokensPerS: 40 } } })
}, 60_000)
afterAll(() => plane?.end())

/** As a browser does it: the cookie and nothing else says who asks. */
async function signedIn(): Promise<{ cookie: string; client: Client }> {
  const cookie = await signIn(plane.url, plane.token)
  const asPage: typeof fetch = (input, init) =>
    fetch(input, { ...init, headers: { ...init?.headers, ...asOwnPage, cookie } })
  return { cookie, client: makeClient({ url: plane.url, token: null, fetch: asPage }) }
}

/** What is there at last. A sample is taken every ten seconds, and a node says something as often. */
async function seen<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  let found: T | null = null
  const holds = async () => {
    found = await look()
    return found !== null
  }
  await until(holds, 50_000, () => `never: ${what}`)
  return found as T
}

test("signed in with the first admin's token: launched, tried out through the gateway, and both are in the graphs", async () => {
  const { cookie, client } = await signedIn()
  const asked = await client.createLaunch({ body: { model: 'pair' } })
  if ('dryRun' in asked) throw new Error('nothing was launched')
  const launch = await plane.reaches(asked.id, ['live'])
  const { id, name } = await plane.node(launch)
  const body = JSON.stringify({ model: 'pair', messages: [{ role: 'user', content: 'hello' }], max_tokens: 10 })
  const ask = () => fetch(`${plane.url}/api/chat`, { method: 'POST', headers: { ...asOwnPage, cookie }, body })
  const reply = await seen('the gateway routes to the node', async () => {
    const answer = await ask()
    return answer.ok ? answer : null
  })
  const said = await reply.text()
  expect(reply.headers.get(servedByHeader)).toBe(name)
  expect(said).toContain('"usage"')
  expect(said.trimEnd().endsWith('data: [DONE]')).toBe(true)
  const shown = await seen('the node is in its graph, with what its engine tells and its traffic', async () => {
    const told = await client.nodeSamples({ params: { id } })
    return told.samples.some(({ kvPercent }) => kvPercent !== null) && told.traffic.length > 0 ? told : null
  })
  expect(shown.traffic[0]).toMatchObject({
    requests: 1,
    failed: 0,
    completionTokens: 10,
    firstTokenMs: expect.any(Number),
  })
  const deployment = await client.deploymentSamples({ params: { id: launch.deploymentId } })
  expect(deployment.samples.at(-1)).toMatchObject({ wanted: 1, ready: 1 })
  expect(deployment.traffic).toEqual(shown.traffic)
  await client.signOut()
  await expect(client.me()).rejects.toMatchObject({ status: 401 })
})
