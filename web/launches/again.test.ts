import { expect, test } from 'vitest'
import { launchRequest } from '../../src/wire/routes.ts'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { againAfter } from './again.ts'

const wish: LaunchDetail['wish'] = {
  clouds: [],
  regions: [],
  gpus: ['H100'],
  gpuCount: 1,
  spot: 'allow',
  maxPricePerHourMicroUsd: 2_500_000,
}

type Failure = NonNullable<LaunchDetail['failure']>
const failure = (over: Partial<Failure>): Failure => ({
  code: 'engine_failed',
  fault: 'node',
  retry: 'same',
  cause: 'It failed.',
  remedy: 'Mend it.',
  ...over,
})

const launch = (over: Partial<LaunchDetail>): LaunchDetail =>
  ({
    model: 'Qwen/Qwen3-32B',
    deployment: 'chat',
    engineArgs: { 'max-model-len': 65_536 },
    wish,
    timeLimitS: null,
    concurrency: null,
    createdAt: '2026-03-01T12:00:00.000Z',
    deadlineAt: '2026-03-01T12:20:00.000Z',
    failure: null,
    ...over,
  }) as LaunchDetail

test('the argument that the engine named is asked for, in a deployment of its own', () => {
  const suggestion = { argument: 'max-model-len', value: 48_000 }
  const { changes, request } = againAfter(launch({ failure: failure({ retry: 'never', suggestion }) }))
  expect(request).toMatchObject({
    engineArgs: { 'max-model-len': 48_000 },
    deployment: 'chat-max-model-len-48000',
    wish,
  })
  expect(changes).toEqual(['max-model-len 48000', 'as the deployment chat-max-model-len-48000'])
})

test('whatever is suggested, the deployment has a name that is taken', () => {
  const suggestion = { argument: 'dtype', value: 'Half Precision/1' }
  const { request } = againAfter(launch({ deployment: 'd'.repeat(63), failure: failure({ suggestion }) }))
  expect(launchRequest.safeParse(request).success).toBe(true)
})

test('a launch that ran out of time gets twice of it, and no more than a launch may have', () => {
  const late = failure({ code: 'launch_timeout', retry: 'later' })
  const { changes, request } = againAfter(launch({ failure: late }))
  expect([changes, request.timeLimitS]).toEqual([['40m00s instead of 20m00s'], 2_400])
  expect(againAfter(launch({ failure: late, deadlineAt: '2026-03-02T11:00:00.000Z' })).request.timeLimitS).toBe(86_400)
  expect(againAfter(launch({ failure: late, deadlineAt: null })).changes).toEqual([])
})

test('a place that is full makes way for all places, at no higher price and on the same GPUs', () => {
  const full = failure({ code: 'no_capacity', fault: 'cloud', retry: 'elsewhere' })
  const narrow = { ...wish, clouds: ['aws'], regions: ['us-east-1'], spot: 'only' as const }
  const { changes, request } = againAfter(launch({ failure: full, wish: narrow }))
  expect(request.wish).toEqual({ ...wish, spot: 'first' })
  expect(changes).toEqual(['in any cloud', 'in any region', 'on demand too'])
  expect(againAfter(launch({ failure: full })).changes).toEqual([])
})

test('the time limit and the concurrency that were asked for are asked for again, but more time where it ran out', () => {
  const asked = { timeLimitS: 600, concurrency: 8 }
  expect(againAfter(launch({ ...asked, failure: failure({}) })).request).toMatchObject(asked)
  const late = { ...asked, failure: failure({ code: 'launch_timeout' }), deadlineAt: '2026-03-01T12:10:00.000Z' }
  expect(againAfter(launch(late)).request).toMatchObject({ timeLimitS: 1_200, concurrency: 8 })
})

test('any other failure asks for the same once more', () => {
  const { changes, request } = againAfter(launch({ failure: failure({}) }))
  expect(changes).toEqual([])
  expect(request).toEqual({
    model: 'Qwen/Qwen3-32B',
    deployment: 'chat',
    engineArgs: { 'max-model-len': 65_536 },
    wish,
    dryRun: false,
  })
})
