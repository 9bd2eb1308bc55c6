import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { expectGolden } from '../../test/golden-file.ts'
import { openApiDocument } from './openapi.ts'
import { routes } from './routes.ts'

type Json = Record<string, unknown>

const document = openApiDocument('0.0.0')

test('the OpenAPI document is the reviewed one', () => {
  expectGolden('openapi.json', `${JSON.stringify(document, null, 2)}\n`)
})

test('the document is OpenAPI 3.1 by the schema that its makers publish', async () => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate(structuredClone(document))
  expect([valid, errors, validator.version]).toEqual([true, undefined, '3.1'])
  const broken = { ...structuredClone(document), paths: { '/x': { get: { parameters: [{ name: 'y' }] } } } }
  expect((await new Validator().validate(broken)).valid).toBe(false)
})

/** What is served besides the contract; `src/api/access.test.ts` calls each. */
const more = ['downloadFile', 'downloadIndex', 'live']

test('the document has every route once, with answers, a default refusal and the parameters of its path', () => {
  const operations = Object.entries(document.paths as Record<string, Record<string, Json>>).flatMap(([path, methods]) =>
    Object.values(methods).map((operation) => ({ path, operation })),
  )
  expect(operations.map(({ operation }) => operation.operationId).sort()).toEqual(
    [...Object.keys(routes), ...more].sort(),
  )
  for (const { path, operation } of operations) {
    const parameters = (operation.parameters ?? []) as { name: string; in: string; required: boolean; schema: Json }[]
    const inPath = parameters.filter((parameter) => parameter.in === 'path')
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, true])
    expect(inPath.map(({ name, required }) => [name, required])).toEqual(named)
    expect(parameters.every(({ schema }) => Object.keys(schema).length > 0)).toBe(true)
    const responses = operation.responses as Record<string, { description: string }>
    expect(Object.keys(responses)).toContain('default')
    expect(Object.keys(responses).every((status) => /^([1-5]\d\d|default)$/.test(status))).toBe(true)
    expect(Object.values(responses).every(({ description }) => description.length > 0)).toBe(true)
  }
})

test('every reference leads somewhere, and every named schema is used', () => {
  const schemas = Object.keys((document.components as { schemas: Json }).schemas)
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to)
  expect(references.filter((to) => !to?.startsWith('#/components/schemas/'))).toEqual([])
  const named = new Set(references.map((to) => to?.slice('#/components/schemas/'.length)))
  expect([...named].sort()).toEqual(schemas.sort())
})

test('the document says nothing that JSON Schema 2020-12 does not know', () => {
  const known = new Set(
    '$ref type properties required items anyOf oneOf allOf const enum format pattern minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength minItems maxItems propertyNames additionalProperties default description'.split(
      ' ',
    ),
  )
  const strange: string[] = []
  const walk = (schema: unknown, at: string): void => {
    if (typeof schema !== 'object' || schema === null) return
    for (const [key, inner] of Object.entries(schema)) {
      if (!known.has(key)) strange.push(`${at}.${key}`)
      else if (key === 'properties') for (const [name, field] of Object.entries(inner)) walk(field, `${at}.${name}`)
      else if (['anyOf', 'oneOf', 'allOf'].includes(key)) for (const one of inner as unknown[]) walk(one, at)
      else if (['items', 'additionalProperties', 'propertyNames'].includes(key)) walk(inner, `${at}.${key}`)
    }
  }
  for (const [name, schema] of Object.entries((document.components as { schemas: Json }).schemas)) walk(schema, name)
  expect(strange).toEqual([])
})
