import { expect, test } from 'vitest'
import type { LaunchRequest } from '../../src/wire/routes.ts'
import { askedOf } from '../wizard/request.ts'
import { draftOf, wizardSearch } from './change-first.ts'

const request: LaunchRequest = {
  model: 'Qwen/Qwen3-32B',
  deployment: 'chat',
  engineArgs: { 'max-model-len': 48_000, 'enforce-eager': true },
  wish: {
    clouds: ['aws', 'gcp'],
    regions: ['us-east-1'],
    gpus: ['H100'],
    gpuCount: 2,
    spot: 'first',
    maxPricePerHourMicroUsd: 2_490_000,
  },
  timeLimitS: 2_400,
  concurrency: 8,
  dryRun: false,
}

test('the wizard that is opened to change a launch asks for the same while nothing is changed', () => {
  const { request: asked, wrong } = askedOf(draftOf(request), 'vllm')
  expect(wrong).toEqual({})
  expect(asked).toEqual(request)
})

test('also of a model that no configuration names', () => {
  const own: LaunchRequest = { ...request, model: 'mine', own: { source: 's3://weights/mine', engine: 'vllm' } }
  expect(askedOf(draftOf(own), 'vllm').request).toEqual(own)
})

test('its address says only what was asked for', () => {
  const wish = {
    clouds: [],
    regions: [],
    gpus: [],
    gpuCount: null,
    spot: 'allow',
    maxPricePerHourMicroUsd: null,
  } as const
  const plain: LaunchRequest = {
    model: 'm',
    engineArgs: {},
    wish: { ...wish, clouds: [], regions: [], gpus: [] },
    dryRun: false,
  }
  expect(wizardSearch(plain)).toEqual({ step: 'configuration', model: 'm' })
})
