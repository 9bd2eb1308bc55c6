import { describe, expect, test } from 'vitest'
import { deploymentRequest, launchRequest, scaleRequest } from '../../src/wire/routes.ts'
import type { OfferNowView } from '../../src/wire/views.ts'
import { shellWord } from '../words/shell.ts'
import { callOf, commandOf, curlOf } from './as-text.ts'
import { type Draft, emptyDraft, stepOf, tellSame } from './draft.ts'
import { askedOf, onlyOffer } from './request.ts'

const draft = (over: Partial<Draft>): Draft => ({ ...emptyDraft, model: 'qwen3-8b', ...over })
const offer: OfferNowView = {
  id: 'aws/us-east-1/L4/2/spot',
  cloud: 'aws',
  region: 'us-east-1',
  gpu: 'L4',
  gpuCount: 2,
  vramGib: 24,
  spot: true,
  pricePerHourMicroUsd: 800_000,
  available: null,
  standing: null,
  seenAt: null,
  stale: false,
}

describe('what is asked for', () => {
  test('of an empty draft is what the API takes without a word more', () => {
    const { request, replicas, wrong } = askedOf(draft({}), 'vllm')
    expect(wrong).toEqual({})
    expect(replicas).toBe(1)
    expect(request).toEqual(launchRequest.parse({ model: 'qwen3-8b' }))
  })

  test('carries every choice, in the order of choosing', () => {
    const { request, wrong } = askedOf(
      draft({
        clouds: 'lambda,aws',
        regions: 'us-west-1',
        gpus: 'H100,L4',
        gpuCount: '2',
        spot: 'first',
        maxPrice: '2.5',
        context: '32768',
        concurrency: '8',
        args: 'enforce-eager\n  kv-cache-dtype=fp8\n\n',
        deployment: 'chat',
        timeLimit: '1h30m',
      }),
      'vllm',
    )
    expect(wrong).toEqual({})
    expect(launchRequest.parse(request)).toEqual(request)
    expect(request).toEqual({
      model: 'qwen3-8b',
      deployment: 'chat',
      engineArgs: { 'enforce-eager': true, 'kv-cache-dtype': 'fp8', 'max-model-len': 32_768 },
      wish: {
        clouds: ['lambda', 'aws'],
        regions: ['us-west-1'],
        gpus: ['H100', 'L4'],
        gpuCount: 2,
        spot: 'first',
        maxPricePerHourMicroUsd: 2_500_000,
      },
      timeLimitS: 5_400,
      concurrency: 8,
      dryRun: false,
    })
  })

  test('each engine is told the context by its own name', () => {
    const told = (engine: 'vllm' | 'sglang' | 'llama-server' | 'sim') =>
      askedOf(draft({ context: '4096' }), engine).request.engineArgs
    expect(told('sglang')).toEqual({ 'context-length': 4096 })
    expect(told('llama-server')).toEqual({ 'ctx-size': 4096 })
    expect(told('sim')).toEqual({ 'max-model-len': 4096 })
  })

  test.each([
    ['replicas', '0'],
    ['replicas', '1.5'],
    ['gpuCount', 'two'],
    ['context', '-1'],
    ['maxPrice', '$2'],
    ['timeLimit', '20 minutes'],
    ['timeLimit', '1s'],
    ['deployment', 'Not A Name'],
    ['args', 'trust-remote-code'],
    ['args', 'max-num-seqs=many'],
    ['args', '=3'],
    ['args', 'seed=1\nseed=2'],
  ] as const)('%s "%s" is refused where it stands, with what to do', (field, value) => {
    const { wrong, request } = askedOf(draft({ [field]: value }), 'vllm')
    expect(Object.keys(wrong)).toEqual([field])
    expect(wrong[field]?.length).toBeGreaterThan(20)
    expect(launchRequest.safeParse(request).success).toBe(true)
  })

  test('the context is not told twice', () => {
    expect(askedOf(draft({ context: '4096', args: 'max-model-len=8192' }), 'vllm').wrong).toHaveProperty('context')
  })

  test('one offer that was picked is all that is tried', () => {
    const { request } = askedOf(draft({ clouds: 'gcp,aws', spot: 'first', maxPrice: '3' }), 'vllm')
    expect(onlyOffer(request, offer).wish).toEqual({
      clouds: ['aws'],
      regions: ['us-east-1'],
      gpus: ['L4'],
      gpuCount: 2,
      spot: 'only',
      maxPricePerHourMicroUsd: 3_000_000,
    })
    const bare = { ...offer, gpu: null, gpuCount: 0, spot: false }
    expect(onlyOffer(request, bare).wish).toMatchObject({ gpus: [], gpuCount: 0, spot: 'never' })
  })
})

describe('the address', () => {
  test('an unknown step is the first one', () => {
    expect(stepOf({ step: 'summary' })).toBe('summary')
    expect(stepOf({ step: '<script>' })).toBe('model')
  })

  test('a step back tells the same, another field does not', () => {
    expect(tellSame(draft({ step: 'summary' }), draft({ step: 'model' }))).toBe(true)
    expect(tellSame(draft({ context: '1' }), draft({}))).toBe(false)
  })
})

const made = { deployment: 'qwen3-8b', becomes: { id: null, wantedFrom: 0, wantedTo: 3 } }

describe('the same as a text', () => {
  const { request } = askedOf(
    draft({
      clouds: 'lambda,aws',
      gpuCount: '2',
      spot: 'only',
      maxPrice: '2.5',
      args: 'enforce-eager',
      deployment: 'chat',
      timeLimit: '20m',
      concurrency: '4',
    }),
    'vllm',
  )

  test('a launch is a command with the options of the command line', () => {
    expect(commandOf(callOf(request, 1, made))).toBe(
      'flightdeck launch qwen3-8b --deployment chat --concurrency 4 --time-limit 1200s --cloud lambda --cloud aws ' +
        '--gpus 2 --spot only --max-price 2.5 --arg enforce-eager=true',
    )
  })

  test('several replicas are a deployment, in command and call', () => {
    const several = askedOf(draft({ replicas: '3', timeLimit: '20m', concurrency: '4' }), 'vllm')
    const call = callOf(several.request, several.replicas, made)
    expect(commandOf(call)).toBe(
      'flightdeck deploy qwen3-8b --replicas 3 --name qwen3-8b --concurrency 4 --time-limit 1200s',
    )
    expect(deploymentRequest.parse(call.body)).toEqual(call.body)
    expect(curlOf(call, 'https://deck.example')).toContain('curl https://deck.example/api/deployments \\\n')
  })

  test('several replicas of a deployment that is there are more of them, from as many as were told', () => {
    const several = askedOf(draft({ replicas: '3', deployment: 'chat' }), 'vllm')
    const becomes = { id: 'de-1', wantedFrom: 2, wantedTo: 5 }
    const call = callOf(several.request, several.replicas, { deployment: 'chat', becomes })
    expect(commandOf(call)).toBe('flightdeck scale chat 5')
    expect(scaleRequest.parse(call.body)).toEqual({ wanted: 5, from: 2 })
    expect(curlOf(call, 'https://deck.example')).toMatch(
      /^curl https:\/\/deck\.example\/api\/deployments\/de-1\/scale [\s\S]*-d '\{"wanted":5,"from":2\}'$/,
    )
    // One more is a launch of its own, which may differ.
    expect(callOf(several.request, 1, { deployment: 'chat', becomes }).act).toBe('createLaunch')
  })

  test('the call says no more than was chosen, and the API reads it as the same request', () => {
    const text = curlOf(callOf(request, 1, made), 'http://127.0.0.1:8080')
    const body = /-d '(.*)'$/s.exec(text)?.[1] ?? ''
    expect(text).not.toContain('fd_op_')
    expect(body).not.toMatch(/null|\[\]|dryRun/)
    expect(launchRequest.parse(JSON.parse(body))).toEqual(request)
  })

  test.each([
    ['plain-1.0/x=y', 'plain-1.0/x=y'],
    ['', "''"],
    ['two words', "'two words'"],
    ["it's", "'it'\\''s'"],
    ['$(rm -rf /); `id`', "'$(rm -rf /); `id`'"],
    ['a\nb', "'a\nb'"],
  ])('the shell reads %j as one word', (word, quoted) => expect(shellWord(word)).toBe(quoted))
})
