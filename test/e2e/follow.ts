import { WebSocket } from 'ws'
import { type LiveMessage, livePath } from '../../src/wire/live.ts'

export interface Followed {
  /** Everything that was told, in its order. */
  readonly heard: LiveMessage[]
  /** The reason for which the control plane ended it, or null. */
  closed(): string | null
  /** Reads no further. */
  stop(): void
  close(): void
}

/** Follows the topics as whoever has the token. */
export function follow(
  { url, token }: { readonly url: string; readonly token: string },
  ...topics: object[]
): Followed {
  const socket = new WebSocket(url.replace('http', 'ws') + livePath)
  const heard: LiveMessage[] = []
  let closed: string | null = null
  socket.on('open', () => {
    for (const said of [{ do: 'hello', token }, ...topics.map((topic) => ({ do: 'follow', ...topic }))])
      socket.send(JSON.stringify(said))
  })
  socket.on('message', (data) => heard.push(JSON.parse(String(data))))
  // What went wrong is in the close that follows.
  socket.on('error', () => undefined)
  socket.on('close', (code, reason) => {
    closed = `${code} ${reason}`
  })
  return { heard, closed: () => closed, stop: () => socket.pause(), close: () => socket.terminate() }
}
