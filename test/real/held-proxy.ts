import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** Stands between a control plane and its SkyPilot API server, and does what a network does at the wrong moment. */
export interface HeldProxy {
  readonly url: string
  /**
   * The next launch reaches the server, and its answer stays here. Resolves when the server has answered, to what passes
   * the answer on.
   */
  holdLaunch(): Promise<() => void>
  close(): Promise<void>
}

export async function heldProxy(target: string): Promise<HeldProxy> {
  let held: ((passOn: () => void) => void) | null = null
  const server = createServer((incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy())
  })

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const isLaunch = incoming.method === 'POST' && incoming.url === '/launch'
    const body = await buffer(incoming)
    const { 'content-length': _, connection: __, 'transfer-encoding': ___, ...headers } = incoming.headers
    const length = body.length > 0 ? { 'content-length': body.length } : {}
    const options = { method: incoming.method, agent: false, headers: { ...headers, ...length } } as const
    const onward = request(target + incoming.url, options, (answer) => {
      answer.on('error', () => outgoing.destroy())
      const passOn = () => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      }
      if (!isLaunch || !held) return passOn()
      // Until it is passed on, the connection stays open without an answer, or until the control plane is gone.
      held(passOn)
      held = null
    })
    onward.on('error', () => outgoing.destroy())
    outgoing.on('close', () => onward.destroy())
    onward.end(body)
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    holdLaunch: () =>
      new Promise((resolve) => {
        held = resolve
      }),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
