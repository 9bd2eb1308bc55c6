import { EventEmitter } from 'node:events'
import { afterEach, expect, test, vi } from 'vitest'
import type { WebSocket } from 'ws'
import { liveClose } from '../wire/live.ts'
import { defaultLiveLimits } from './live-limits.ts'
import { Reader, type ReaderDeps } from './live-reader.ts'

const { roomBytes } = defaultLiveLimits

/** A reader whose socket takes what it is given when the test says so. */
function slowReader() {
  const flushed: (() => void)[] = []
  const closed: unknown[] = []
  const socket = {
    OPEN: 1,
    readyState: 1,
    bufferedAmount: 0,
    on: () => socket,
    send(text: string, done: () => void) {
      socket.bufferedAmount += text.length
      flushed.push(() => {
        socket.bufferedAmount -= text.length
        done()
      })
    },
    ping: () => undefined,
    close(code: number, reason: string) {
      socket.readyState = 2
      closed.push(code, reason)
    },
    terminate: () => void closed.push('cut'),
  }
  const deps = { socket: socket as unknown as WebSocket, limits: defaultLiveLimits, address: '', cookie: null }
  const reader = new Reader(deps as unknown as ReaderDeps)
  return { reader, closed, flush: () => flushed.shift()?.() }
}

afterEach(() => vi.useRealTimers())

const turn = () => new Promise((resolve) => setImmediate(resolve))
const piece = 'x'.repeat(roomBytes)

test('what can be told later waits until there is room, and comes in a turn of its own', async () => {
  const { reader, flush } = slowReader()
  let told = 0
  reader.send(piece)
  reader.whenRoom(() => told++)
  await turn()
  expect([told, reader.hasRoom]).toEqual([0, false])
  flush()
  expect(told).toBe(0)
  await turn()
  expect([told, reader.hasRoom]).toEqual([1, true])
})

test('who reads on piece by piece is kept though no pong comes, and who stands still is dropped and told why', async () => {
  const { reader, closed, flush } = slowReader()
  const tellOn = () => {
    reader.send(piece)
    reader.whenRoom(tellOn)
  }
  tellOn()
  for (let i = 0; i < 5; i++) {
    flush()
    await turn()
    reader.checkLife()
  }
  expect(closed).toEqual([])
  reader.checkLife()
  expect(closed).toEqual([liveClose.slowReader, expect.stringContaining('was not read')])
})

test('who was told all and gives no sign of life is cut', () => {
  const { reader, closed } = slowReader()
  reader.checkLife()
  reader.checkLife()
  expect(closed).toEqual(['cut'])
})

test('who said hello is told now and then that the connection lives, and how often that is', async () => {
  const told: { topic: string; aliveMs?: number }[] = []
  const send = (text: string) => told.push(JSON.parse(text))
  const socket = Object.assign(new EventEmitter(), { OPEN: 1, readyState: 1, bufferedAmount: 0, send, ping: vi.fn() })
  const found = { actor: { id: 'op-1', name: 'ada', role: 'viewer' }, session: null }
  const deps = { socket, limits: defaultLiveLimits, door: { person: async () => found }, clock: { now: () => 0 } }
  const reader = new Reader({ ...deps, address: '', cookie: 'a cookie' } as unknown as ReaderDeps)
  reader.checkLife()
  expect(told).toEqual([])
  socket.emit('message', JSON.stringify({ do: 'hello' }))
  await turn()
  reader.checkLife()
  expect(told.map(({ topic }) => topic)).toEqual(['hello', 'alive'])
  expect(told[0]?.aliveMs).toBe(defaultLiveLimits.heartbeatMs)
  socket.emit('close')
})

test('who leaves before the hello was looked up follows nothing and leaves no timer behind that keeps the process', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const socket = Object.assign(new EventEmitter(), { OPEN: 1, readyState: 1, send: () => undefined })
  const found = Promise.withResolvers<unknown>()
  const follow = vi.fn()
  const clock = { now: () => 0 }
  const deps = { socket, limits: defaultLiveLimits, door: { person: () => found.promise }, topics: { follow }, clock }
  new Reader({ ...deps, address: '', cookie: 'a cookie' } as unknown as ReaderDeps)
  for (const request of [{ do: 'hello' }, { do: 'follow', topic: 'fleet' }])
    socket.emit('message', JSON.stringify(request))
  socket.emit('close')
  const actor = { id: 'op-1', tenantId: 'te-1', name: 'ada', role: 'admin' }
  found.resolve({ actor, session: { endsAt: 604_800_000 } })
  await turn()
  expect([vi.getTimerCount(), follow.mock.calls]).toEqual([0, []])
})
