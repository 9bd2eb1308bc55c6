import { expect, test } from 'vitest'
import type { Offer } from './offer.ts'
import { builtInRecipe } from './recipe.ts'
import { setupsOf } from './setup.ts'

const recipes = { aws: { vllm: builtInRecipe('vllm') }, local: { vllm: builtInRecipe('vllm-cpu') } }
const settings = { recipes, images: { gcp: 'docker:mine' } }
const nothing = new Map<string, number>()
const at = (cloud: string): Offer => {
  const place = { id: cloud, region: 'r', gpu: 'L4', gpuCount: 1, vramGib: 24, spot: false, available: null }
  return { ...place, cloud, pricePerHourMicroUsd: 3_600_000 }
}

test('without a past both ways are guesses, at the price of the offer', () => {
  const { does, instead } = setupsOf(settings, 'vllm', at('aws'), nothing)
  expect(does).toEqual({ way: 'recipe', name: 'vllm', ms: 125_000, measured: false, costMicroUsd: 125_000 })
  expect(instead).toMatchObject({
    way: 'image',
    name: 'docker:vllm/vllm-openai',
    measured: false,
    costMicroUsd: 200_000,
  })
})

test('past launches of the cloud are measured, and what they did not have to install counts as nothing', () => {
  const past = new Map([
    ['python_install', 3_000],
    ['engine_install', 24_000],
    ['engine_start', 50_000],
  ])
  expect(setupsOf(settings, 'vllm', at('aws'), past).does).toMatchObject({ ms: 27_000, measured: true })
})

test('an image takes the place of installing; what the machine has costs nothing', () => {
  const { does, instead } = setupsOf(settings, 'vllm', at('gcp'), nothing)
  expect([does?.way, does?.name, instead?.way]).toEqual(['image', 'docker:mine', 'recipe'])
  expect(setupsOf(settings, 'vllm', at('azure'), nothing)).toEqual({ does: null, instead: null })
  expect(setupsOf(settings, 'vllm', at('local'), nothing)).toMatchObject({ does: { name: 'vllm-cpu' }, instead: null })
})
