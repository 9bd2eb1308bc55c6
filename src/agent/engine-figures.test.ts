import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { EngineFigures, readFigures } from './engine-figures.ts'

const page = (waiting: string, share: string) =>
  `# HELP x y\nvllm:num_requests_waiting_by_reason{reason="capacity"} 9\nvllm:num_requests_waiting{engine="0"} ${waiting}\n` +
  `vllm:kv_cache_usage_perc{engine="0"} ${share}\n`

test('vLLM, SGLang and llama-server tell what waits and how full the cache is; a page without says nothing', () => {
  expect(readFigures(page('3.0', '0.25'))).toEqual({ waiting: 3, kvPercent: 25 })
  expect(readFigures(page('3.0', '0.25') + page('1.0', '0.75'))).toEqual({ waiting: 4, kvPercent: 50 })
  expect(readFigures('sglang:num_queue_reqs 2\nsglang:token_usage 0.5\n')).toEqual({ waiting: 2, kvPercent: 50 })
  expect(readFigures('llamacpp:requests_deferred 1\n')).toEqual({ waiting: 1, kvPercent: null })
  for (const text of ['', 'x 1\n', page('NaN', '-1'), '<html>']) {
    expect([text, readFigures(text)]).toEqual([text, { waiting: null, kvPercent: null }])
  }
})

test('what a real vLLM told is read', () => {
  const told = readFileSync(join(import.meta.dirname, '../../test/fixtures/vllm/metrics.txt'), 'utf8')
  expect(readFigures(told)).toEqual({ waiting: 0, kvPercent: 0 })
})

test('figures count while they are fresh; an engine that hangs or is away holds nothing up', async () => {
  let now = 0
  let port: number | null = null
  const figures = new EngineFigures(
    () => port,
    () => now,
  )
  await figures.look()
  expect(figures.lately()).toEqual({ waiting: null, kvPercent: null })
  const server = createServer((_, response) => response.end(page('2.0', '0.1')))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
  await figures.look()
  expect(figures.lately()).toEqual({ waiting: 2, kvPercent: 10 })
  await new Promise((resolve) => {
    server.close(resolve)
    server.closeAllConnections()
  })
  now = 29_000
  await figures.look()
  expect(figures.lately()).toEqual({ waiting: 2, kvPercent: 10 })
  now = 31_000
  expect(figures.lately()).toEqual({ waiting: null, kvPercent: null })
})
