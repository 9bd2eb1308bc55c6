import { describe, expect, test } from 'vitest'
import { deploymentRequest, launchRequest } from '../../src/wire/routes.ts'
import { callOf, commandOf, curlOf } from './as-text.ts'
import { type Draft, emptyDraft } from './draft.ts'
import { configurationOf, isFolder, modelOf, wrongOwn } from './own.ts'
import { askedOf } from './request.ts'

const draft = (over: Partial<Draft>): Draft => ({ ...emptyDraft, from: 'own', ...over })

describe('a model that no configuration names', () => {
  test.each([
    ['org/Own_7B', 'own_7b'],
    ['s3://weights/own-7B/v1/', 'v1'],
    ['gs://weights', 'weights'],
    ['az://weights/a=b', 'a-b'],
  ])('that lies at %s is asked for as the API takes it, as %s where no name was given', (own, name) => {
    const { request, wrong } = askedOf(draft({ own: ` ${own} `, engine: 'sglang' }), 'sglang')
    expect([wrong, wrongOwn({ own, name: '' })]).toEqual([{}, {}])
    expect(launchRequest.parse(request)).toEqual(request)
    expect(request).toMatchObject({ model: name, own: { source: own, engine: 'sglang' } })
  })

  test.each([
    '',
    'alone',
    './weights',
    '../up',
    '-x/y',
    'a/b/c',
    's3://',
    's3://ok/../up',
    'http://h/x',
    '/data/model',
  ])('at "%s" is refused at its field, as the API would refuse it, with what to write', (own) => {
    const { own: why } = wrongOwn({ own, name: 'mine' })
    expect(why).toMatch(isFolder(own) ? /the configuration names it/ : /owner\/name/)
    expect(launchRequest.safeParse({ model: 'mine', own: { source: own } }).success).toBe(false)
    expect(askedOf(draft({ own, name: 'mine' }), 'vllm').wrong).toEqual({ own: why })
  })

  test('has a name of its own: one that is no name, or that other weights have, is refused at its field', () => {
    const listed = [{ name: 'chat', source: 'org/other' }]
    expect(wrongOwn({ own: 'org/mine', name: 'two words' }).name).toMatch(/^Use letters, digits/)
    expect(wrongOwn({ own: 'org/mine', name: 'chat' }, listed).name).toBe(
      '"chat" is org/other already. Give this one another name.',
    )
    expect(wrongOwn({ own: 'org/other', name: 'chat' }, listed)).toEqual({})
  })

  test('is kept in the address while one of the list is chosen, and is not asked for then', () => {
    const { request } = askedOf(draft({ from: 'list', model: 'tiny', own: 'org/mine', name: 'mine' }), 'vllm')
    expect(request).toEqual(launchRequest.parse({ model: 'tiny' }))
    expect(modelOf(draft({ model: 'tiny', own: 'org/mine', name: 'mine' }))).toBe('mine')
  })

  test('is said with its place and engine in command and call, of one replica and of several', () => {
    const { request } = askedOf(draft({ own: 's3://weights/mine', engine: 'sglang' }), 'sglang')
    const made = { deployment: 'mine', becomes: { id: null, wantedFrom: 0, wantedTo: 2 } }
    const one = callOf(request, 1, made)
    expect(commandOf(one)).toBe('flightdeck launch mine --source s3://weights/mine --engine sglang')
    const body = /-d '(.*)'$/s.exec(curlOf(one, 'http://127.0.0.1:8080'))?.[1] ?? ''
    expect(launchRequest.parse(JSON.parse(body))).toEqual(request)
    const several = callOf(request, 2, made)
    expect(commandOf(several)).toBe(
      'flightdeck deploy mine --source s3://weights/mine --engine sglang --replicas 2 --name mine',
    )
    expect(deploymentRequest.parse(several.body)).toEqual(several.body)
  })

  test('in a folder of a machine is told as the entry of the configuration that serves it', () => {
    expect(configurationOf({ own: '/data/My-7B/', engine: 'vllm', name: '' })).toEqual({
      name: 'my-7b',
      engine: 'vllm',
      source: '/data/My-7B/',
    })
  })
})
