import { WebSocket } from 'ws'
import { type LiveMessage, livePath } from '../../src/wire/live.ts'
import type { Plane } from './plane.ts'

/** Everything that a follower of the topics is told, in its order. */
export function follow(plane: Plane, ...topics: object[]): { heard: LiveMessage[]; close(): void } {
  const socket = new WebSocket(plane.url.replace('http', 'ws') + livePath)
  const heard: LiveMessage[] = []
  socket.on('open', () => {
    for (const said of [{ do: 'hello', token: plane.token }, ...topics.map((topic) => ({ do: 'follow', ...topic }))])
      socket.send(JSON.stringify(said))
  })
  socket.on('message', (data) => heard.push(JSON.parse(String(data))))
  return { heard, close: () => socket.terminate() }
}
