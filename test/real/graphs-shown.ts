import type { Page } from 'playwright-core'
import { brief, briefMs, clock } from '../../web/graphs/steady.ts'
import type { Thing, Value } from './figures-shown.ts'

/** A graph as whoever does not see its lines has it. */
interface Shown {
  readonly title: string
  /** What each line says last, by its name. */
  readonly legend: Readonly<Record<string, string>>
  /** The time, and what each line says then; the newest first. */
  readonly rows: readonly (readonly string[])[]
}

const read = `[...document.querySelectorAll('main figure')].map((figure) => ({
  title: figure.querySelector('strong').textContent,
  legend: Object.fromEntries([...figure.querySelectorAll('figcaption > span')].map((line) => {
    const value = line.querySelector('b').textContent
    return [line.textContent.slice(0, -value.length).trim(), value]
  })),
  rows: [...figure.querySelectorAll('tbody tr')].map((row) => [...row.children].map((cell) => cell.textContent)),
}))`

const graphsOn = (page: Page): Promise<Shown[]> => page.evaluate(read)

interface Series {
  readonly from: 'samples' | 'traffic'
  readonly field: string
  readonly words: (value: number) => string
  /** What is said where nothing was told. */
  readonly hole: number | null
}

const sampled = (field: string, words = brief): Series => ({ from: 'samples', field, words, hole: null })
const counted = (field: string): Series => ({ from: 'traffic', field, words: brief, hole: 0 })
const timed = (field: string): Series => ({ from: 'traffic', field, words: briefMs, hole: null })
const percent = (value: number) => `${brief(value)} %`

/** Which field each line is, by the titles of graphs. */
const drawn: Readonly<Record<string, Readonly<Record<string, Series>>>> = {
  Requests: { 'in flight': sampled('inFlight'), 'waiting in the engine': sampled('waiting') },
  Use: { GPUs: sampled('gpuPercent', percent), 'KV cache': sampled('kvPercent', percent) },
  Replicas: { wanted: sampled('wanted'), ready: sampled('ready') },
  'Requests in flight': { 'in flight': sampled('inFlight'), 'waiting in engines': sampled('waiting') },
  'Requests a minute': {
    all: counted('requests'),
    failed: counted('failed'),
    'given up by clients': counted('aborted'),
  },
  'Latency, mean': { 'to the first token': timed('firstTokenMs'), whole: timed('durationMs') },
  'Tokens made a second': { tokens: counted('completionTokensPerS') },
}

type Point = Readonly<Record<string, string | number | null>>

/** What graphs show that is not what the samples say, in words. `samples`: of the node or deployment, as they were told last. */
export async function wronglyDrawn(page: Page, samples: Thing): Promise<string[]> {
  const graphs = await graphsOn(page)
  return graphs.flatMap((graph) => {
    const lines = drawn[graph.title]
    if (!lines) return [`nobody knows what "${graph.title}" is drawn from`]
    return [...wrongLegend(graph, lines, samples), ...wrongRows(graph, lines, samples)].map(
      (what) => `${graph.title}: ${what}`,
    )
  })
}

const pointsOf = (samples: Thing, from: Series['from']): readonly Point[] => samples[from] as Value[] as Point[]

const sayingOf = (point: Point | undefined, { field }: Series) => (point?.[field] ?? null) as number | null

function wrongLegend({ legend }: Shown, lines: Readonly<Record<string, Series>>, samples: Thing): string[] {
  const expected = Object.entries(lines).map(([name, series]) => [name, newest(series, samples)])
  return Object.entries(legend).join() === expected.join()
    ? []
    : [`says ${JSON.stringify(legend)}, was told ${JSON.stringify(Object.fromEntries(expected))}`]
}

// As the page has it: from two and a half spans without a word on, nothing was told.
const silentSpans = 2.5

function newest(series: Series, samples: Thing): string {
  const points = pointsOf(samples, series.from)
  const [to, everyS] = [Date.parse(String(samples['to'])), Number(samples['trafficS'])]
  const isOver = to - Date.parse(String(points.at(-1)?.['at'] ?? 0)) > silentSpans * everyS * 1_000
  if (series.hole !== null && isOver) return series.words(series.hole)
  const last = points.findLast((point) => sayingOf(point, series) !== null)
  return last ? series.words(sayingOf(last, series) ?? 0) : '–'
}

/** Each row is a point that was told, or one of the holes between them. */
function wrongRows({ rows }: Shown, lines: Readonly<Record<string, Series>>, samples: Thing): string[] {
  const all = Object.values(lines)
  const points = pointsOf(samples, all[0]?.from ?? 'samples')
  const words = (value: number | null, series: Series) => (value === null ? 'not told' : series.words(value))
  const told = points.map((point) => [
    clock(Date.parse(String(point['at'])) / 1_000),
    ...all.map((series) => words(sayingOf(point, series), series)),
  ])
  const hole = all.map((series) => words(series.hole, series)).join()
  const known = new Set(told.map((row) => row.join()))
  const hasWords = all.some(
    (series) => series.hole !== null || points.some((point) => sayingOf(point, series) !== null),
  )
  if (rows.length === 0) return hasWords ? ['has no table'] : []
  return rows.filter((row) => !known.has(row.join()) && row.slice(1).join() !== hole).map((row) => `row ${row.join()}`)
}
