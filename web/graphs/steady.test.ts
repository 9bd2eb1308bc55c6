import { expect, test } from 'vitest'
import { brief, briefMs, steady } from './steady.ts'

const at = (s: number): string => new Date(s * 1_000).toISOString()
const point = (s: number) => ({ at: at(s) })

test('points that follow each other are one line', () => {
  const { xs, rows } = steady([point(0), point(10), point(21), point(30)], at(0), at(35), 10)
  expect(xs).toEqual([0, 10, 21, 30])
  expect(rows.every((row) => row !== null)).toBe(true)
})

test('where nothing was told there is a hole, also at both ends', () => {
  const { xs, rows } = steady([point(100), point(200)], at(0), at(300), 10)
  expect(xs).toEqual([0, 90, 100, 110, 190, 200, 210, 300])
  expect(rows.map((row) => row !== null)).toEqual([false, false, true, false, false, true, false, false])
  expect(xs).toEqual([...xs].sort((a, b) => a - b))
})

test('without any point the whole span is a hole', () => {
  expect(steady([], at(0), at(3_600), 60)).toEqual({ xs: [0, 60, 3_600], rows: [null, null, null] })
})

test('figures are short', () => {
  expect([3.4, 999, 1_240, 42_000].map(briefMs)).toEqual(['3 ms', '999 ms', '1.2 s', '42 s'])
  expect(brief(1_240.55)).toBe('1,240.6')
})
