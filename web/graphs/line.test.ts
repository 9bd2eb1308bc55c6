import { expect, test } from 'vitest'
import { type Line, toldRows } from './line.ts'

const line = (values: Line['values']): Line => ({ name: 'one', look: 'main', values })

test('the newest is among them, whatever is left out, and holes are not', () => {
  const xs = Array.from({ length: 361 }, (_, i) => i * 10)
  const rows = toldRows(xs, [line(xs.map((x) => (x < 3_600 ? x : null)))], 30)
  expect(rows.length).toBeLessThanOrEqual(30)
  expect(rows.slice(0, 2)).toEqual([
    { x: 3_590, values: [3_590] },
    { x: 3_460, values: [3_460] },
  ])
})

test('few are told one by one, each line with what it says then', () => {
  expect(toldRows([1, 2, 3], [line([1, null, null]), line([5, null, 6])], 30)).toEqual([
    { x: 3, values: [null, 6] },
    { x: 1, values: [1, 5] },
  ])
  expect(toldRows([1, 2], [line([null, null])], 30)).toEqual([])
})
