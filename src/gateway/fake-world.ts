import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256 } from '../lib/chance.ts'
import { makeLog } from '../lib/log.ts'
import { playgroundKeyId, type RoutedNode } from '../wire/gateway.ts'
import { type GatewayConfig, readConfig } from './config.ts'
import { FakeControl } from './fake-control.ts'
import { FakeNode, type Script, wellEngine } from './fake-node.ts'
import { type RunningGateway, startGateway } from './start.ts'

export const apiKey = 'fd_key_0123456789abcdef0123456789abcdef'
export const tiedKey = 'fd_key_tied456789abcdef0123456789abcdef'
/** Of the install itself, for people who try a model out. */
export const ownKey = 'fd_key_playground'
export const credentialOf = (id: string) => `fd_node_${id}-0123456789abcdef0123456789`

export const routed = (id: string, over: Partial<RoutedNode> = {}): RoutedNode => ({
  id,
  name: `fd-test-${id}`,
  credentialHash: sha256(credentialOf(id)),
  incarnation: 'incarnation-1',
  servedName: 'm',
  healthPath: '/health',
  routable: true,
  order: 'run',
  direct: null,
  ...over,
})

export const tableOf = (nodes: RoutedNode[]) => ({
  install: 'test',
  authority: null as string | null,
  nodes,
  models: [
    { id: 'm', created: 1, ownedBy: 'flightdeck' },
    { id: 'other', created: 2, ownedBy: 'flightdeck' },
  ],
  keys: [
    { id: 'k1', hash: sha256(apiKey), models: null },
    { id: 'k2', hash: sha256(tiedKey), models: ['other'] },
    { id: playgroundKeyId, hash: sha256(ownKey), models: null },
  ],
})

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The connection broke before the answer was whole. */
  readonly torn: boolean
}

/** A gateway in this process, between a fake control plane and fake nodes. */
export class World {
  readonly control: FakeControl
  readonly dir: string
  readonly nodes: FakeNode[] = []
  gateway: RunningGateway
  readonly #config: GatewayConfig

  private constructor(control: FakeControl, dir: string, config: GatewayConfig, gateway: RunningGateway) {
    this.control = control
    this.dir = dir
    this.#config = config
    this.gateway = gateway
  }

  static async start(nodes: RoutedNode[] = [routed('n1')], over: Partial<GatewayConfig> = {}): Promise<World> {
    const dir = await mkdtemp(join(tmpdir(), 'fd-gateway-'))
    const control = new FakeControl(tableOf(nodes))
    await control.listen()
    await writeFile(join(dir, 'token'), 'fd_gw_token-of-the-test\n')
    const env = {
      FLIGHTDECK_GATEWAY_LISTEN: '127.0.0.1:0',
      FLIGHTDECK_CONTROL_URL: control.url,
      FLIGHTDECK_GATEWAY_TOKEN_FILE: join(dir, 'token'),
      FLIGHTDECK_GATEWAY_DIR: join(dir, 'data'),
    }
    const config = { ...readConfig(env), reportMs: 50, stopMs: 2_000, ...over }
    const world = new World(control, dir, config, await startGateway(config, makeLog('gateway', 'silent')))
    await control.untilPolled()
    return world
  }

  get port(): number {
    return this.gateway.port
  }

  /** Stops this gateway and starts another in its place, on the same folder. */
  async restart(): Promise<void> {
    await this.gateway.stop()
    this.gateway = await startGateway(this.#config, makeLog('gateway', 'silent'))
  }

  /** A node with one lent socket; it answers probes well and requests by the script. */
  async node(id: string, script: Script, follows = true): Promise<FakeNode> {
    const node = new FakeNode(this.port, credentialOf(id), wellEngine('m', script))
    node.follows = follows
    this.nodes.push(node)
    const status = await node.dial()
    if (status !== 101) throw new Error(`The node was answered with ${status}.`)
    return node
  }

  /** Changes one node of the table. */
  setNode(id: string, change: Partial<RoutedNode>) {
    this.control.change({
      nodes: this.control.table.nodes.map((node) => (node.id === id ? { ...node, ...change } : node)),
    })
  }

  post(
    body: unknown,
    options: { path?: string; headers?: Record<string, string>; onData?: (text: string) => void } = {},
  ) {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return send(this.port, 'POST', options.path ?? '/v1/chat/completions', options.headers ?? {}, text, options.onData)
  }

  get(path: string, headers: Record<string, string> = {}) {
    return send(this.port, 'GET', path, headers)
  }

  async end(): Promise<void> {
    await this.gateway.stop()
    for (const node of this.nodes) node.close()
    await this.control.close()
    await rm(this.dir, { recursive: true })
  }
}

/** Which reader of the gateway the requests of a test meet. */
export const lanes: { current: 'short' | 'node:http' } = { current: 'short' }

export interface Sent extends Promise<Answer> {
  /** The client hangs up. */
  abort(): void
}

export function send(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string>,
  body = '',
  onData: (text: string) => void = () => undefined,
): Sent {
  const fields = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', ...headers }
  // Kept alive it is a plain request, for the short lane; closing, it is one for node:http.
  const agent = new Agent({ keepAlive: lanes.current === 'short' })
  const request = httpRequest({ port, host: '127.0.0.1', method, path, headers: fields, agent })
  const answer = new Promise<Answer>((resolve, reject) => {
    request.on('error', (error) => {
      agent.destroy()
      reject(error)
    })
    request.on('response', (response) => {
      let text = ''
      let torn = false
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        text += piece
        onData(text)
      })
      response.on('error', () => {
        torn = true
      })
      response.on('close', () => {
        agent.destroy()
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: text,
          torn: torn || !response.complete,
        })
      })
    })
  })
  request.end(body)
  return Object.assign(answer, { abort: () => void request.destroy() })
}
