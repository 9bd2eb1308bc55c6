import { useEffect, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import look from './graph.module.css'
import { GraphTable } from './graph-table.tsx'
import type { Line } from './line.ts'
import { clock } from './steady.ts'

interface GraphProps {
  readonly title: string
  /** Epoch seconds, one for each value of each line. */
  readonly xs: readonly number[]
  readonly lines: readonly Line[]
  readonly words: (value: number) => string
  /** What the greatest value is at least, so that a quiet time does not look like a storm. */
  readonly atLeast?: number
}

const heightPx = 130

/** Lines over time. The figures are those under the pointer; without one, the newest. */
export function Graph({ title, xs, lines, words, atLeast = 1 }: GraphProps) {
  const box = useRef<HTMLDivElement>(null)
  const legend = useRef<HTMLElement>(null)
  const plot = useRef<uPlot | null>(null)
  const [pointed, setPointed] = useState<number | null>(null)
  const shape = lines.map((line) => `${line.name} ${line.look}`).join()
  // biome-ignore lint/correctness/useExhaustiveDependencies: made anew for other lines alone; its values are set below.
  useEffect(() => {
    if (!box.current) return undefined
    const options = optionsOf(box.current.clientWidth, lines.length, words, atLeast, legend.current, setPointed)
    const made = new uPlot(options, dataOf(xs, lines), box.current)
    plot.current = made
    const sizes = new ResizeObserver(([entry]) =>
      made.setSize({ width: Math.floor(entry?.contentRect.width ?? 0), height: heightPx }),
    )
    sizes.observe(box.current)
    const redraw = () => made.redraw()
    const system = matchMedia('(prefers-color-scheme: dark)')
    system.addEventListener('change', redraw)
    const chosen = new MutationObserver(redraw)
    chosen.observe(document.documentElement, { attributeFilter: ['data-look'] })
    return () => {
      chosen.disconnect()
      system.removeEventListener('change', redraw)
      sizes.disconnect()
      made.destroy()
    }
  }, [shape])
  useEffect(() => plot.current?.setData(dataOf(xs, lines)), [xs, lines])
  return (
    <figure className={look['graph']}>
      <figcaption ref={legend}>
        <strong>{title}</strong>
        {lines.map((line) => (
          <span key={line.name} className={look[line.look]}>
            <i aria-hidden="true" /> {line.name} <b>{figure(line.values, pointed, words)}</b>
          </span>
        ))}
      </figcaption>
      <div ref={box} aria-hidden="true" />
      <GraphTable title={title} xs={xs} lines={lines} words={words} />
    </figure>
  )
}

const dataOf = (xs: readonly number[], lines: readonly Line[]): uPlot.AlignedData => [
  [...xs],
  ...lines.map(({ values }) => [...values]),
]

function figure(values: Line['values'], pointed: number | null, words: GraphProps['words']): string {
  const value = pointed === null ? values.findLast((one) => one !== null) : values[pointed]
  return value === null || value === undefined ? '–' : words(value)
}

function optionsOf(
  width: number,
  lines: number,
  words: GraphProps['words'],
  atLeast: number,
  legend: HTMLElement | null,
  point: (index: number | null) => void,
): uPlot.Options {
  // A canvas knows no variables of a style sheet: the colours are those that the legend is drawn in, now.
  const colour = (nth: number) => () => getComputedStyle(legend?.children[nth] ?? document.body).color
  const axis: uPlot.Axis = { stroke: colour(0), font: '11px Inter, system-ui, sans-serif', ticks: { show: false } }
  return {
    width,
    height: heightPx,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range: (_, __, most) => [0, Math.max(atLeast, (most ?? 0) * 1.1)] } },
    axes: [
      { ...axis, size: 28, grid: { show: false }, values: (_, ticks) => ticks.map(clock) },
      { ...axis, size: 56, grid: { width: 0.5 }, values: (_, ticks) => ticks.map(words) },
    ],
    series: [{}, ...Array.from({ length: lines }, (_, i) => ({ stroke: colour(i + 1), width: 1.5 }))],
    hooks: { setCursor: [({ cursor }) => point(cursor.idx ?? null)] },
  }
}
