import { type IncomingHttpHeaders, request as requestHttp } from 'node:http'
import { type RequestOptions, request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'

export class UpgradeRefused extends Error {
  readonly status: number

  constructor(status: number) {
    super(`the upgrade was answered with ${status}`)
    this.status = status
  }
}

export interface Upgraded {
  readonly socket: Socket
  readonly headers: IncomingHttpHeaders
}

/** Asks for an upgrade and resolves with the connection that it became. Rejects on a refusal, or when none comes. */
export function callUpgrade(url: URL, options: RequestOptions, timeoutMs: number): Promise<Upgraded> {
  return new Promise((resolve, reject) => {
    const start = url.protocol === 'https:' ? requestHttps : requestHttp
    // No pool: an upgraded connection never comes back.
    const request = start(url, { ...options, agent: false })
    const deadline = setTimeout(() => request.destroy(new Error('no answer to the upgrade')), timeoutMs)
    request.once('close', () => clearTimeout(deadline))
    request.once('upgrade', ({ headers }, socket, head) => {
      clearTimeout(deadline)
      // The other side may have sent its first bytes right behind the 101.
      if (head.length > 0) socket.unshift(head)
      resolve({ socket: socket as Socket, headers })
    })
    request.once('response', (response) => {
      response.resume()
      reject(new UpgradeRefused(response.statusCode ?? 0))
      request.destroy()
    })
    request.once('error', reject)
    request.end()
  })
}
