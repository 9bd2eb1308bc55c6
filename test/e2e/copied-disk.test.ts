import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { signalProcess } from '../../src/clouds/local/processes.ts'
import { commandOf, type Plane, processesAbout, startPlane, until } from './plane.ts'

const model = 'twice'

let plane: Plane
let copy: { child: ChildProcess; dir: string } | undefined
afterEach(async () => {
  await plane?.end()
  if (copy?.child.kill('SIGKILL')) await once(copy.child, 'exit')
  for (const pid of processesAbout(copy?.dir ?? '-')) signalProcess(pid, 'SIGKILL')
  if (copy) rmSync(copy.dir, { recursive: true, force: true })
})

const environmentOf = (pid: number): Record<string, string> =>
  Object.fromEntries(
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .filter(Boolean)
      .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  )

const isEngine = (pid: number): boolean => commandOf(pid).includes('scripted-engine')

const pidsOf = async (command: string): Promise<number[]> => [...(await plane.running(command)).values()].flat()

/**
 * As a machine that was made of an image of the first one's disk: the same files, and none of its processes, which on this
 * host it would find by the machine's name.
 */
async function startCopy(): Promise<void> {
  const [agent = 0] = await pidsOf('agent.cjs')
  const env = environmentOf(agent)
  const dir = mkdtempSync(join(tmpdir(), 'fd-copied-'))
  cpSync(env['FLIGHTDECK_NODE_DIR'] ?? '', dir, { recursive: true })
  for (const process of ['agent.pid', 'engine.pid', 'engine.json']) rmSync(join(dir, process), { force: true })
  const log = openSync(join(dir, 'agent.log'), 'a')
  const child = spawn(process.execPath, [env['FLIGHTDECK_AGENT'] ?? '', 'run'], {
    env: { ...env, FLIGHTDECK_NODE_DIR: dir, FLIGHTDECK_MACHINE: 'a-copied-machine' },
    stdio: ['ignore', 'ignore', log],
  })
  copy = { child, dir }
}

/** How many requests each engine has answered, by its process. */
async function answered(): Promise<Map<number, number>> {
  const pids = [...(await pidsOf('scripted-engine')), ...processesAbout(copy?.dir ?? '-').filter(isEngine)]
  const counted = pids.map(async (pid) => {
    const port = /--port\0(\d+)/.exec(commandOf(pid))?.[1]
    const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    const counts = [...page.matchAll(/^vllm:request_success_total\{.*\} (\S+)$/gm)].map(([, n]) => Number(n))
    return [pid, counts.reduce((sum, n) => sum + n, 0)] as const
  })
  return new Map(await Promise.all(counted))
}

test('of two agents on copies of one disk exactly one serves: the other stands aside, its engine gets nothing, and the timeline tells', async () => {
  plane = await startPlane({ scripts: { [model]: {} } })
  const node = await plane.node(await plane.reaches((await plane.launched(model)).id, ['live'], 60_000))
  const key = await plane.key()
  const [agent = 0] = await pidsOf('agent.cjs')
  const firstDir = environmentOf(agent)['FLIGHTDECK_NODE_DIR'] ?? ''
  await startCopy()
  await until(
    async () => (await answered()).size === 2,
    60_000,
    () => 'the copy starts no engine',
  )
  const timeline = async () => (await plane.client.showNode({ params: { id: node.id } })).timeline
  await until(
    async () => (await timeline()).some(({ kind }) => kind === 'node.second_holder'),
    60_000,
    () => 'nobody is told',
  )
  const logs = () => [firstDir, copy?.dir ?? ''].map((dir) => readFileSync(join(dir, 'agent.log'), 'utf8'))
  await until(
    () => logs().some((log) => log.includes('standing aside')),
    60_000,
    () => logs().join('\n---\n'),
  )
  expect(logs().map((log) => log.includes('standing aside'))).toEqual([true, false])

  let inRow = 0
  await until(
    async () => {
      inRow = (await plane.chat(model, key)).status === 200 ? inRow + 1 : 0
      return inRow >= 10
    },
    60_000,
    () => 'neither of them serves',
  )
  const before = await answered()
  for (let i = 0; i < 20; i++) expect((await plane.chat(model, key)).status).toBe(200)
  const after = await answered()
  const grown = [...after].map(([pid, count]) => count - (before.get(pid) ?? 0)).sort((a, b) => a - b)
  expect(grown).toEqual([0, 20])
  expect((await plane.client.listNodes({ query: {} })).items.map(({ id, state }) => [id, state])).toEqual([
    [node.id, 'ready'],
  ])
}, 240_000)
