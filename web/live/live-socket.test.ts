import { beforeEach, expect, test } from 'vitest'
import { LiveSocket } from './live-socket.ts'

/** A socket whose other end is the test. */
class FakeSocket {
  onopen: (() => void) | null = null
  onmessage: ((event: { data: string }) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  readonly said: unknown[] = []
  closed = false

  send(text: string): void {
    this.said.push(JSON.parse(text))
  }

  close(): void {
    this.closed = true
  }

  tell(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) })
  }

  greet(): void {
    this.onopen?.()
    this.tell({ topic: 'hello', name: 'ada', role: 'viewer', aliveMs: 20_000 })
  }

  cut(code = 1006): void {
    this.onclose?.({ code, reason: '' })
  }
}

let sockets: FakeSocket[]
let timers: { ms: number; act: () => void }[]
let live: LiveSocket
let now: number
const last = () => sockets.at(-1) as FakeSocket
const pass = () => {
  for (const { act } of timers.splice(0)) act()
}

beforeEach(() => {
  sockets = []
  timers = []
  now = 0
  live = new LiveSocket({
    open: () => {
      sockets.push(new FakeSocket())
      return last() as unknown as WebSocket
    },
    greeted: () => undefined,
    elapsed: () => now,
    chance: () => 0.5,
    after(ms, act) {
      const timer = { ms, act }
      timers.push(timer)
      return () => {
        timers = timers.filter((one) => one !== timer)
      }
    },
  })
  live.start()
})

test('a topic is followed once however many listen, and left with the last of them', () => {
  last().greet()
  const heard: string[] = []
  const first = live.follow({ topic: 'log', id: 'n1' }, () => heard.push('a'))
  const second = live.follow({ topic: 'log', id: 'n1' }, () => heard.push('b'))
  last().tell({ topic: 'log', id: 'n1', lines: [] })
  last().tell({ topic: 'log', id: 'n2', lines: [] })
  expect(heard).toEqual(['a', 'b'])
  first()
  expect(last().said.at(-1)).toEqual({ do: 'follow', topic: 'log', id: 'n1' })
  second()
  expect(last().said.at(-1)).toEqual({ do: 'leave', topic: 'log', id: 'n1' })
})

test('after a cut it says so, comes back by itself and follows everything anew', () => {
  last().greet()
  live.follow({ topic: 'fleet' }, () => undefined)
  last().cut()
  expect(live.state).toMatchObject({ kind: 'reconnecting' })
  pass()
  expect(sockets).toHaveLength(2)
  expect(live.state).toMatchObject({ kind: 'reconnecting' })
  last().greet()
  expect(live.state).toEqual({ kind: 'live' })
  expect(last().said).toEqual([{ do: 'hello' }, { do: 'follow', topic: 'fleet' }])
})

test('pauses grow while nobody answers, within bounds, and are short again after a good connection', () => {
  const waits: number[] = []
  for (let i = 0; i < 8; i++) {
    last().cut()
    waits.push(timers[0]?.ms ?? 0)
    pass()
  }
  expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
  last().greet()
  last().cut()
  expect(timers[0]?.ms).toBe(250)
})

test('a connection that died without a word is found by its silence, or as soon as somebody looks again', () => {
  last().greet()
  const later = (ms: number) => {
    now += ms
    pass()
  }
  later(30_000)
  last().tell({ topic: 'alive' })
  later(40_000)
  expect(live.state).toEqual({ kind: 'live' })
  later(5_000)
  expect(live.state).toMatchObject({ kind: 'reconnecting', why: 'nothing was heard any more' })
  expect(last().closed).toBe(true)
  pass()
  last().greet()
  now += 60_000
  live.hurry()
  expect(live.state).toMatchObject({ kind: 'reconnecting' })
  expect(sockets).toHaveLength(3)
})

test('a server that accepts and says nothing is given up', () => {
  pass()
  expect(live.state).toMatchObject({ kind: 'reconnecting', why: 'no answer came' })
  expect(last().closed).toBe(true)
})

test('who is not signed in is not tried again until somebody is', () => {
  last().cut(4001)
  expect(live.state).toEqual({ kind: 'refused' })
  expect(timers).toEqual([])
  live.start()
  last().greet()
  expect(live.state).toEqual({ kind: 'live' })
})

test('a hurried reconnection does not wait, and makes no second connection beside one that is opening', () => {
  last().greet()
  last().cut()
  live.hurry()
  live.hurry()
  expect(sockets).toHaveLength(2)
})
