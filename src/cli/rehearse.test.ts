import { expect, test } from 'vitest'
import { rehearseStorm, resultText, type StormFlags } from './rehearse.ts'
import { faultNames, faultsOf } from './rehearse-faults.ts'
import type { Aftermath } from './rehearse-storm.ts'
import { ascii } from './test-views.ts'

const said: string[] = []
const lent = {
  terminal: {
    interactive: false,
    look: () => ascii(120),
    out: (text: string) => void said.push(text),
    err: () => undefined,
  },
  makeClient: () => Promise.reject(new Error('nothing was to be started')),
  json: false,
}
const flags: StormFlags = { replicas: 4, faults: ['notice', 'kill'] }

test('a fault that nobody knows, and a fleet that is too small for it or more than this host bears, are refused before anything is started', async () => {
  expect(() => faultsOf('kill,flood')).toThrow(/--faults must be names of faults, not "flood"/)
  expect(() => faultsOf('')).toThrow(/--faults/)
  await expect(rehearseStorm({ ...flags, faults: Array(33).fill('kill') }, lent)).rejects.toThrow(/32 are the most/)
  await expect(rehearseStorm({ ...flags, replicas: 17 }, lent)).rejects.toThrow(/from 1 to 16/)
  await expect(rehearseStorm({ replicas: 7, faults: ['half'] }, lent)).rejects.toThrow(/at least 8 replicas, not 7/)
})

test('a dry run tells what each fault does, to how many machines and how long it takes, and starts nothing', async () => {
  expect(faultsOf('all')).toEqual(faultNames)
  expect(await rehearseStorm({ faults: faultsOf('kill, half'), dryRun: true }, lent)).toBe(0)
  const text = said.splice(0).join('')
  expect(text).toMatch(/8 simulated machines.* nothing is rented\. About 3 min:\n/)
  expect(text).toMatch(/^1\. kill, on 1 of 8 machines\. .*SIGKILL/m)
  expect(text).toMatch(/^2\. half, on 4 of 8 machines\. .*guard/m)
  await rehearseStorm({ ...flags, dryRun: true }, { ...lent, json: true })
  expect(JSON.parse(said.splice(0).join(''))).toMatchObject({
    event: 'plan',
    replicas: 4,
    faults: [{ fault: 'notice' }, {}],
  })
})

test('the end of a storm is a table of what each fault came to, what it did to requests, and what it would have cost', () => {
  const calm = { replacementsAsked: 1, released: 1, guard: null, requests: 168, failedRequests: 0, brokenStreams: 0 }
  const faults: Aftermath[] = [
    {
      ...{ ...calm, fault: 'notice', nodes: ['fd-a-1'], costMicroUsd: 20_000 },
      ...{ unroutableMs: 43, replacementAskedMs: 610, servesAgainMs: 4_000 },
    },
    {
      ...{ ...calm, fault: 'half', nodes: ['a', 'b', 'c', 'd'], replacementsAsked: 2, costMicroUsd: 30_000 },
      ...{ unroutableMs: null, replacementAskedMs: 11_000, servesAgainMs: null },
      ...{ failedRequests: 2, brokenStreams: 1, guard: '4 of 8 nodes are suspect.' },
    },
    {
      ...{ ...calm, fault: 'cloud', nodes: [], replacementsAsked: 0, released: 0, costMicroUsd: 10_000 },
      ...{ unroutableMs: null, replacementAskedMs: null, servesAgainMs: 60_000 },
    },
    {
      ...{ ...calm, fault: 'unlisted', nodes: ['fd-a-2'], replacementsAsked: 0, released: 0, costMicroUsd: 10_000 },
      ...{ unroutableMs: null, replacementAskedMs: null, servesAgainMs: 64_000 },
    },
  ]
  const counted = { requests: 336, failedRequests: 2, brokenStreams: 1, why: ['plain: 502'] }
  expect(
    resultText({ replicas: 2, ...counted, faults, costMicroUsd: 52_100, rented: false, allBack: false }, ascii(120)),
  ).toBe(`
FAULT     NODES  NO REQUESTS AFTER  ANOTHER ASKED FOR  ALL SERVE AGAIN  RELEASED      LOST     COST
notice        1               43ms              610ms             4.0s         1  0 of 168  $0.0200
half          4           not seen            11s (2)         not seen         1  3 of 168  $0.0300
cloud         0                  -                  -            1m00s         0  0 of 168  $0.0100
unlisted      1                  -                  -            1m04s         0  0 of 168  $0.0100
  half: the guard held. 4 of 8 nodes are suspect.
336 requests: 2 failed, 1 streams broke.
  lost: plain: 502
NOT all 2 replicas came back within 5m00s. At $2.49 an hour for each machine it would have cost $0.0521.`)
})
