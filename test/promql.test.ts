import { expect, test } from 'vitest'
import { figuresOn, namesIn } from './promql.ts'

test('metrics, what is asked of their labels, and labels that are grouped by are found; functions and words are not', () => {
  const expr =
    'max by (a, b) (rate(one_total{x="1",y=~"p|q"}[5m])) > 2e3 and on (c) sum(two offset 1d) without (d) == bool 0'
  expect(namesIn(expr)).toEqual({
    metrics: [
      {
        name: 'one_total',
        matchers: [
          { label: 'x', op: '=', value: '1' },
          { label: 'y', op: '=~', value: 'p|q' },
        ],
      },
      { name: 'two', matchers: [] },
    ],
    labels: ['a', 'b', 'c', 'd'],
  })
})

test('an aggregation that is grouped before its argument, and a recorded name, are read right', () => {
  expect(namesIn('sum without (x) (m) / job:n:rate5m')).toEqual({
    metrics: [
      { name: 'm', matchers: [] },
      { name: 'job:n:rate5m', matchers: [] },
    ],
    labels: ['x'],
  })
})

test('a page of figures is read with the values of its labels', () => {
  const page = '# HELP m A word.\n# TYPE m gauge\nm{a="1",b="x y"} 3\nm{a="2"} 4\nn 5\n'
  expect(figuresOn(page)).toEqual(
    new Map([
      [
        'm',
        new Map([
          ['a', new Set(['1', '2'])],
          ['b', new Set(['x y'])],
        ]),
      ],
      ['n', new Map()],
    ]),
  )
})
