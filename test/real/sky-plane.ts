import { expect, vi } from 'vitest'
import { type NodeState, nodeStates } from '../../src/core/node-table.ts'
import type { LaunchDetail, LaunchView, NodeDetail } from '../../src/wire/views.ts'
import { type Plane, scriptedEngine, startPlane, until } from '../e2e/plane.ts'
import { deadline, slurmRig } from './slurm-rig.ts'

export const minutes = 60_000

export interface SkyPlaneOptions {
  /** Scripts of simulated engines, each a model of the name that it is listed under; `engine`: what it is taken for. */
  readonly scripts: Record<string, Record<string, unknown>>
  /** The command of a real vLLM, and arguments for its tiny model under each name. */
  readonly vllm?: { readonly command: readonly string[]; readonly models: Record<string, Record<string, unknown>> }
  readonly slurm?: Record<string, unknown>
  /** Where machines fetch the agent first. */
  readonly agentMirror?: string
  readonly config?: Record<string, unknown>
}

/** A control plane that rents from the rig's Slurm, and has seen what it offers. */
export async function startSkyPlane(url: string, options: SkyPlaneOptions): Promise<Plane> {
  const { scripts, vllm, slurm, agentMirror, config } = options
  const simulated = Object.entries(scripts).map(([name, { engine = 'sim', ...script }]) => {
    return { name, engine, source: JSON.stringify({ startupMs: 300, ...script }) }
  })
  const real = Object.entries(vllm?.models ?? {}).map(([name, args]) => ({
    name,
    engine: 'vllm',
    source: 'tiny',
    args,
  }))
  const plane = await startPlane({
    local: {
      engines: {
        sim: { command: scriptedEngine },
        ...(vllm ? { vllm: { command: vllm.command } } : {}),
      },
    },
    config: {
      launch: { rounds: 1, triesPerOffer: 1, firstBackOffS: 1 },
      ...config,
      models: [...simulated, ...real],
      skypilot: {
        url,
        ...(agentMirror ? { agentMirror } : {}),
        clouds: { slurm: { onThisHost: true, nodeBin: process.execPath, cpus: '1', memoryGib: '1', ...slurm } },
      },
    },
  })
  await vi.waitFor(async () => {
    const offers = (await plane.client.listOffers({})).items
    expect(offers.map(({ region }) => region)).toContain('lab/spot')
  }, deadline)
  return plane
}

export const onSlurm = (...regions: string[]) => ({ wish: { clouds: ['slurm'], regions, gpus: ['H100'], gpuCount: 1 } })

export const failuresOf = ({ attempts }: LaunchDetail) => attempts.map(({ failure }) => failure?.code ?? null)

/** Money for the whole time, without a gap, and none any more. */
export function billIsClosed(node: NodeDetail): void {
  expect(node).toMatchObject({ state: 'gone', billed: 'no' })
  expect(node.costMicroUsd).toBeGreaterThan(0)
  expect(node.ledger[0]?.openedAt).toBe(node.firstSeenAt)
  for (const [i, interval] of node.ledger.entries()) {
    expect(interval.closedAt).toBe(node.ledger[i + 1]?.openedAt ?? node.goneAt)
    expect(interval.pricePerHourMicroUsd).toBe(node.offer.pricePerHourMicroUsd)
  }
}

/** One plain answer and one streamed one. */
export async function answers(plane: Plane, model: string): Promise<void> {
  const key = await plane.key(model)
  const plain = await plane.chat(model, key, { max_tokens: 8 })
  expect(plain.status).toBe(200)
  expect(await plain.json()).toMatchObject({ usage: { completion_tokens: expect.any(Number) } })
  const streamed = await (await plane.chat(model, key, { max_tokens: 8, stream: true })).text()
  expect(streamed.trimEnd().endsWith('data: [DONE]')).toBe(true)
}

export const shown = (plane: Plane, id: string): Promise<LaunchDetail> => plane.client.showLaunch({ params: { id } })

/** Cancelled by hand, and paid for to the end. */
export async function released(plane: Plane, { id }: LaunchDetail): Promise<void> {
  await plane.client.cancelLaunch({ params: { id } })
  const over = await plane.reaches(id, ['ended', 'cancelled'], 4 * minutes)
  billIsClosed(await plane.node(over))
}

/** Waits until the launch's newest node is in this state, and refuses one that has gone past it. */
export async function comesTo(plane: Plane, id: string, state: NodeState): Promise<void> {
  let now: NodeState = 'intended'
  const arrived = async () => {
    now = (await shown(plane, id)).attempts.at(-1)?.nodeState ?? 'intended'
    return nodeStates.indexOf(now) >= nodeStates.indexOf(state)
  }
  await until(arrived, 5 * minutes, () => `the node never came to ${state}`)
  expect(now).toBe(state)
}

/** The states that a node was in, in their order, as its timeline tells them. */
export const statesOf = ({ timeline }: NodeDetail) =>
  timeline
    .map(({ kind }) => kind.replace('node.', ''))
    .filter((kind) => (nodeStates as readonly string[]).includes(kind))

/** The launch by which the launch's deployment replaces it. */
export async function refillOf(plane: Plane, { deploymentId, id }: LaunchDetail): Promise<LaunchView> {
  const later = async () => {
    const { items } = await plane.client.listLaunches({})
    const others = items.filter((one) => one.deploymentId === deploymentId && one.id !== id)
    return others.find(({ origin, actions }) => origin === 'deployment' && actions.length > 0)
  }
  return vi.waitFor(async () => {
    const found = await later()
    if (!found) throw new Error('nothing takes its place')
    return found
  }, deadline)
}

export const nodeNameOf = async (plane: Plane, id: string): Promise<string> =>
  (await shown(plane, id)).attempts.at(-1)?.nodeName ?? ''

/** The one job of a node, as soon as there is one. */
export async function jobOf(nodeName: string): Promise<string> {
  const jobs = async () => (await slurmRig.jobs()).filter((job) => job.startsWith(nodeName))
  await vi.waitFor(async () => expect(await jobs()).toHaveLength(1), deadline)
  return (await jobs())[0] ?? ''
}
