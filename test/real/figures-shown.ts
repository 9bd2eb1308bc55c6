import type { Page, Request } from 'playwright-core'
import { parameterWords, weightsGib } from '../../src/core/catalog.ts'
import { humanMs, humanRough } from '../../src/core/human-time.ts'
import type { CatalogModelView } from '../../src/wire/catalog.ts'
import { usd, usdPerHour } from '../../web/words/money.ts'

export type Value = string | number | boolean | null | readonly Value[] | { readonly [field: string]: Value }
export type Thing = { readonly [field: string]: Value }

type Way = 'answer' | 'socket'

/** What the API told the page: of each thing that has an id what was said last in an answer, and what over the socket. */
export class Told {
  readonly #things = { answer: new Map<string, Thing>(), socket: new Map<string, Thing>() }
  status: Thing = {}
  /** All that was answered since the page was opened, the newest last. */
  answers: Value[] = []

  readonly #page: Page

  private constructor(page: Page) {
    this.#page = page
  }

  static async on(page: Page): Promise<Told> {
    const told = new Told(page)
    page.on('websocket', (socket) =>
      socket.on('framereceived', ({ payload }) => told.#hear('socket', JSON.parse(String(payload)))),
    )
    await page.route('**/api/**', async (route) => {
      // Where nobody answers any more, the page is told so.
      const answer = await route.fetch().catch(() => null)
      if (answer === null) return route.abort()
      if (answer.ok() && isRead(route.request())) {
        const said = (await answer.json()) as Value
        told.answers.push(said)
        told.#hear('answer', said)
      }
      return route.fulfill({ response: answer })
    })
    return told
  }

  /** What the page still asks is not waited for. */
  end(): Promise<void> {
    return this.#page.unrouteAll({ behavior: 'ignoreErrors' })
  }

  #hear(way: Way, value: Value): void {
    if (typeof value !== 'object' || value === null) return
    const thing = value as Thing
    const things = this.#things[way]
    if (typeof thing['id'] === 'string') things.set(thing['id'], { ...things.get(thing['id']), ...thing })
    if (typeof thing['install'] === 'string' && thing['loops']) this.status = thing
    for (const inner of Object.values(value)) this.#hear(way, inner)
  }

  /** Those of one kind that the socket told of, by a field that only they have. */
  all(field: string): Thing[] {
    return [...this.#things.socket.values()].filter((thing) => field in thing)
  }

  /** Whatever was an element of a list in an answer, with its place in it and with what it names beside it. */
  elements(): Value[] {
    const found: Value[] = []
    const walk = (value: Value): void => {
      if (typeof value !== 'object' || value === null) return
      for (const inner of Object.values(value)) walk(inner)
      if (!Array.isArray(value)) return
      for (const [i, one] of (value as Value[]).entries()) {
        const card = (one as Thing | null)?.['catalog']
        const cards = [one, ...(typeof card === 'string' ? this.one(card) : [])]
        found.push([...cards, i + 1, ...cards.flatMap(cardInWords)])
      }
    }
    for (const answer of this.answers) walk(answer)
    return found
  }

  /** One, as it was told in either way: where both did, the page may show the one or the other. */
  one(id: string): Thing[] {
    return [this.#things.socket.get(id), this.#things.answer.get(id)].filter((thing) => thing !== undefined)
  }
}

/** What the card of a model comes to, by the rules that the server has too. */
function cardInWords(card: Value): Value[] {
  if (typeof card !== 'object' || card === null || !('parameters' in card)) return []
  const model = card as unknown as CatalogModelView
  return [parameterWords(model), weightsGib(model)]
}

/** A plan is asked for with POST, and changes nothing. */
const isRead = (request: Request): boolean => request.method() === 'GET' || request.url().endsWith('/api/plan')

/** A row of a table, a choice of several, or the rest of the page. */
export interface Region {
  /** The address of what the row is about; empty: the page itself. */
  readonly about: string
  /** One of several like it. */
  readonly isOne: boolean
  readonly money: readonly { readonly value: number; readonly text: string }[]
  readonly times: readonly { readonly at: string; readonly text: string }[]
  /** Every other word with a digit in it. */
  readonly words: readonly string[]
}

// Logs and evidence are the words of others, what is to be copied holds what stands elsewhere, and graphs have a test of their own.
const read = `(() => {
  const wordsOf = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
    const words = []
    while (walker.nextNode()) words.push(...walker.currentNode.data.split(/\\s+/).filter((word) => /\\d/.test(word)))
    return words
  }
  const take = (root, about, isOne) => {
    const pick = (what, of) => [...root.querySelectorAll(what)].map(of)
    const money = pick('data', (one) => ({ value: Number(one.value), text: one.textContent }))
    const times = pick('time', (one) => ({ at: one.dateTime, text: one.textContent }))
    for (const one of root.querySelectorAll('data, time')) one.remove()
    return { about, isOne, money, times, words: wordsOf(root) }
  }
  const page = document.querySelector('main').cloneNode(true)
  for (const one of page.querySelectorAll('figure, [aria-label^="Log"], [aria-label=Steps], .code, .evidence')) one.remove()
  const ones = [...page.querySelectorAll('[role=row]:has([role=cell]), option')].map((one) => {
    one.remove()
    return take(one, one.querySelector('a.rowlink')?.getAttribute('href') ?? '', true)
  })
  return [...ones, take(page, '', false)]
})()`

export const regionsOf = (page: Page): Promise<Region[]> => page.evaluate(read)

/** All that is in a thing, with how many there are of what it has several of. */
function leavesOf(value: Value): { readonly numbers: number[]; readonly texts: string[] } {
  const numbers: number[] = []
  const texts: string[] = []
  const walk = (one: Value): void => {
    if (typeof one === 'number') numbers.push(one)
    else if (typeof one === 'string') texts.push(one)
    else if (typeof one === 'object' && one !== null) {
      if (Array.isArray(one)) numbers.push(one.length)
      for (const inner of Object.values(one)) walk(inner as Value)
    }
  }
  walk(value)
  return { numbers, texts }
}

// Ages change on the full second, what was read before may be one old, and the machine is busy.
const toleranceMs = 3_000
const isoTime = /^\d{4}-\d\d-\d\dT/

/** What of a region is no field of what it is about, each with what it says. `now`: of the server. */
export function madeUp({ money, times, words }: Region, own: Value, now: number): string[] {
  const { numbers, texts } = leavesOf(own)
  const moments = texts.filter((text) => isoTime.test(text)).map((text) => Date.parse(text))
  const isSpan = (text: string, from: number): boolean =>
    [now, ...moments].some((to) => spansAbout(text, Math.abs(to - from)))
  const isNumber = (word: string): boolean => {
    const value = Number(word.replaceAll(/[^\d.]/g, ''))
    return numbers.some((one) => one === value || Math.round(one) === value || Math.floor(one) === value)
  }
  const isText = (word: string): boolean => texts.some((text) => !isoTime.test(text) && holds(text, word))
  const isKnown = (word: string): boolean =>
    isText(word) ||
    (/^[(]?[\d,.]+[%×,.;:)]*$/.test(word) && isNumber(word)) ||
    numbers.some((one) => [humanRough(one), humanMs(one), humanRough(one * 1_000), usd(one)].includes(word)) ||
    moments.some((from) => isSpan(word, from))
  return [
    ...money
      .filter(({ value, text }) => !numbers.includes(value) || ![usd(value), usdPerHour(value)].includes(text))
      .map(({ value, text }) => `${text} (${value})`),
    ...times
      .filter(({ at, text }) => !moments.includes(Date.parse(at)) || !(isClock(text) || isSpan(text, Date.parse(at))))
      .map(({ at, text }) => `${text} (${at})`),
    ...words.filter((word) => !isKnown(word.replace(/[,.;:)]+$/, '').replace(/^[(]/, ''))),
  ]
}

/** Whether a text holds it as a word of its own: two digits in the middle of an id are no figure that was told. */
function holds(text: string, word: string): boolean {
  const parts = text.split(word)
  return parts.some((part, i) => i > 0 && !/[a-z\d]$/i.test(parts[i - 1] ?? '') && !/^[a-z\d]/i.test(part))
}

const isClock = (text: string): boolean => /^\d\d:\d\d:\d\d$/.test(text)

/** Whether a time that is written like `3m12s` is of about that length. */
function spansAbout(text: string, ms: number): boolean {
  const around = Array.from({ length: 2 * (toleranceMs / 1_000) + 1 }, (_, i) => ms - toleranceMs + i * 1_000)
  return around.some(
    (one) => one >= -1_000 && (humanRough(one) === text || humanRough(one).replace(/m\d\ds$/, 'm') === text),
  )
}
