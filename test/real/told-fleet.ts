import type { Page } from 'playwright-core'
import { livePath } from '../../src/wire/live.ts'
import type { LogLine, NodeView, StatusView } from '../../src/wire/views.ts'
import type { Plane } from '../e2e/plane.ts'

/** What a page is told instead of what its control plane would say: fleets that fit on no machine of ours. */
export interface Told {
  readonly nodes: readonly NodeView[]
  readonly lines?: readonly LogLine[]
}

/** Puts itself between the page and the live socket of its control plane. Returns what tells of nodes that changed. */
export async function tell(
  page: Page,
  plane: Pick<Plane, 'client'>,
  told: Told,
): Promise<(nodes: readonly NodeView[]) => void> {
  const status: StatusView = await plane.client.status()
  let say: (message: object) => void = () => undefined
  const answers: Readonly<Record<string, () => object>> = {
    fleet: () => ({ topic: 'fleet', snapshot: true, left: 0, nodes: told.nodes, changes: [] }),
    status: () => ({ topic: 'status', status }),
  }
  await page.routeWebSocket(new RegExp(livePath), (socket) => {
    say = (message) => socket.send(JSON.stringify(message))
    socket.onMessage((text) => {
      const { do: what, topic, id } = JSON.parse(String(text)) as { do: string; topic: string; id?: string }
      if (what === 'hello')
        say({ topic: 'hello', name: 'ada', role: 'admin', now: new Date().toISOString(), aliveMs: 600_000 })
      if (what === 'follow' && topic === 'log') say({ topic, id, lines: told.lines ?? [] })
      const answer = what === 'follow' ? answers[topic]?.() : undefined
      if (answer) say(answer)
    })
  })
  return (changes) => say({ topic: 'fleet', snapshot: false, left: 0, nodes: [], changes })
}

const clouds = ['aws', 'gcp', 'lambda', 'runpod']
const regions = ['us-east-1', 'us-west-2', 'eu-west-1']
const models = ['Qwen/Qwen3-32B', 'mistralai/Devstral-24B', 'BAAI/bge-m3']

/** Many nodes like that one, on four clouds: most are well, some start or leave, a few are accused. */
export function fleetLike(node: NodeView, count: number): NodeView[] {
  return Array.from({ length: count }, (_, i) => {
    const isAccused = i % 503 === 7
    const at = new Date(Date.now() - (i % 20) * 1_000).toISOString()
    const since = new Date(Date.now() - 630_000).toISOString()
    const probe = { value: isAccused ? ('bad' as const) : ('good' as const), at, since, detail: null }
    return {
      ...node,
      id: `no-${i}`,
      name: `fd-many-${i.toString(36).padStart(6, '0')}`,
      createdAt: new Date(Date.now() - i * 1_000).toISOString(),
      state: i % 97 === 0 ? 'loading' : i % 301 === 1 ? 'draining' : 'ready',
      verdict: isAccused ? 'suspect' : 'healthy',
      verdictRow: isAccused ? 'engine-silent' : 'serves',
      verdictSince: new Date(Date.now() - 40_000).toISOString(),
      signals: { ...node.signals, probe },
      inFlight: i % 13,
      model: models[i % models.length] ?? node.model,
      offer: { ...node.offer, cloud: clouds[i % 4] ?? '', region: regions[i % 3] ?? '', gpu: 'H100', gpuCount: 1 },
      spot: i % 2 === 0,
    }
  })
}
