import { expect, test } from 'vitest'
import { rehearseStorm, resultText } from './rehearse.ts'
import { ascii } from './test-views.ts'

const lent = {
  terminal: { interactive: false, look: () => ascii(100), out: () => undefined, err: () => undefined },
  makeClient: () => Promise.reject(new Error('nothing was to be started')),
  json: false,
}
const flags = { replicas: 4, kills: 1, notices: 1, for: 30 }

test('a storm without a blow, or of more machines than this host bears, is refused before anything is started', async () => {
  await expect(rehearseStorm({ ...flags, kills: 0, notices: 0 }, lent)).rejects.toThrow(/--kills and --notices/)
  await expect(rehearseStorm({ ...flags, kills: 40 }, lent)).rejects.toThrow(/from 1 to 32/)
  await expect(rehearseStorm({ ...flags, replicas: 17 }, lent)).rejects.toThrow(/from 1 to 16/)
})

test('the end of a storm is a table of what befell whom, what it did to requests, and what it would have cost', () => {
  const blows = [
    { kind: 'notice' as const, node: 'fd-a-1', unroutableMs: 43, replacementAskedMs: 610, servesAgainMs: 4_000 },
    { kind: 'kill' as const, node: 'fd-a-2', unroutableMs: null, replacementAskedMs: 11_000, servesAgainMs: null },
  ]
  const counted = { requests: 336, failedRequests: 2, brokenStreams: 1, why: ['plain: 502'] }
  expect(resultText({ replicas: 2, ...counted, blows, costMicroUsd: 52_100, allBack: false }, ascii(100))).toBe(`
STRUCK  BY                NO REQUESTS AFTER  ANOTHER ASKED FOR  IT SERVED
fd-a-1  notice (SIGTERM)               43ms              610ms       4.0s
fd-a-2  kill (SIGKILL)             not seen                11s   not seen
336 requests: 2 failed, 1 streams broke.
  lost: plain: 502
NOT all 2 replicas came back within 5m00s. At $2.49 an hour for each machine it would have cost $0.0521.`)
})
