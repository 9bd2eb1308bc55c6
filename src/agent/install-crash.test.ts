import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import type { Stage } from '../core/stage.ts'
import { onlyOne, scripted } from './install-for-tests.ts'
import { processesWith } from './proc.ts'
import { environmentOf, FakeControl, hasEnded, Machine, simEngine, until } from './world-for-tests.ts'

let control: FakeControl
let folder: string
let machines: Machine[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fd-recipes-'))
  machines = []
})

afterEach(async () => {
  const left = (await Promise.all(machines.map((machine) => machine.clean()))).flat()
  await control.close()
  rmSync(folder, { recursive: true, force: true })
  assert.deepEqual(left, [], 'no process of a machine outlives its loop')
})

async function world(stages: readonly Stage[]): Promise<void> {
  control = new FakeControl(simEngine({ startupMs: 0 }, { env: { WHERE: '{env}' } }))
  control.install = { folder: null, stages }
  await control.listen()
}

function machineIn(recipes: string | null): Machine {
  const machine = new Machine(control, recipes === null ? {} : { FLIGHTDECK_RECIPE_DIR: recipes })
  machines.push(machine)
  return machine
}

const installers = (machine: Machine) => processesWith([`FLIGHTDECK_MACHINE=${machine.name}`, 'FLIGHTDECK_INSTALL=1'])
const allow = () => writeFileSync(join(folder, 'go'), '')
const held = () => `${onlyOne(folder)}; while [ ! -e ${join(folder, 'go')} ]; do sleep 0.02; done; touch "$WHERE/whole"`
const told = () => control.reports.flatMap(({ phases }) => phases.map(({ phase }) => phase))

test('the agent joins first, then installs, then starts the engine out of what it installed', async () => {
  await world([scripted('python', 'true'), scripted('engine', held())])
  const machine = machineIn(folder)
  machine.startLoop()
  await until('a heartbeat while it installs', () => installers(machine).length > 0 && control.beat)
  assert.equal(control.beat?.engine.state, 'starting')
  assert.deepEqual(machine.engines(), [])
  allow()
  await until('the engine answered', () => control.answered())
  const order = told().filter((phase, i, all) => phase !== all[i - 1])
  assert.deepEqual(order.slice(0, 3), ['python_install', 'engine_install', 'engine_start'])
  assert.match(environmentOf(machine.engines()[0] ?? 0), new RegExp(`WHERE=${folder}/env-\\w+\0`))
})

test('an agent that dies in the middle has a successor that makes it good, with never two installers at once', async () => {
  await world([scripted('python', 'true'), scripted('engine', held())])
  const machine = machineIn(folder)
  machine.startLoop()
  for (let death = 0; death < 2; death++) {
    const before = await until('an installer', () => installers(machine)[0])
    process.kill(await until('the agent', () => machine.agentPid()), 'SIGKILL')
    await until('another installer', () => installers(machine).some((pid) => pid !== before))
  }
  allow()
  await until('the engine answered', () => control.answered())
  assert.equal(existsSync(join(folder, 'two')), false)
  assert.equal(control.joins.length, 1)
})

test('two nodes that share a folder install once: the second waits, and serves from what the first has made', async () => {
  const model = scripted('model', `${onlyOne(folder)}; sleep 0.5`)
  await world([scripted('python', 'true'), scripted('engine', held()), model])
  const [first, second] = [machineIn(folder), machineIn(folder)]
  first.startLoop()
  await until('the first installs', () => installers(first).length)
  // The fake control plane knows one node; what the second is told does not matter here.
  second.startLoop()
  await until('the second waits', () => second.tryRead('agent.log')?.includes('Another node is installing'))
  assert.deepEqual(installers(second), [])
  allow()
  await until('both engines run', () => first.engines().length && second.engines().length)
  assert.equal(existsSync(join(folder, 'two')), false)
  assert.doesNotMatch(second.read('agent.log'), /Installing:/)
})

test('the node that holds the lock dies with its agent: the one that waits takes over', async () => {
  await world([scripted('python', 'true'), scripted('engine', held())])
  const [first, second] = [machineIn(folder), machineIn(folder)]
  const loop = first.startLoop()
  await until('the first installs', () => installers(first).length)
  second.startLoop()
  await until('the second waits', () => second.tryRead('agent.log')?.includes('Another node is installing'))
  loop.kill('SIGTERM')
  await until('the second installs', () => installers(second).length)
  allow()
  await until('its engine runs', () => second.engines().length)
  assert.equal(existsSync(join(folder, 'two')), false)
})

test('a node that is ended in the middle leaves no process, and nothing of what was its own on the disk', async () => {
  await world([scripted('python', 'true'), scripted('engine', `setsid sleep 300 & ${held()}`)])
  const machine = machineIn(null)
  const loop = machine.startLoop()
  await until('two processes of the installer', () => installers(machine).length >= 2)
  assert.ok(readdirSync(join(machine.dir, 'recipe')).some((name) => /^env-\w+$/.test(name)))
  control.refuse.agent = 410
  await until('the loop is gone', () => hasEnded(loop), 20_000)
  assert.deepEqual(machine.processes(), [])
  for (const own of ['recipe', 'secrets.json', 'credential.json'])
    assert.equal(existsSync(join(machine.dir, own)), false)
})

test('a failure is told with class and last lines, and a successor of the agent does not try again', async () => {
  await world([scripted('engine', `echo "No space left on device"; exit 1`)])
  const machine = machineIn(folder)
  machine.startLoop()
  const failure = await until('the failure', () => control.failure)
  assert.deepEqual([failure.code, failure.retry], ['disk_full', 'not_here'])
  assert.match(failure.evidence ?? '', /No space left/)
  await until('a heartbeat that says so', () => control.beat?.engine.state === 'failed')
  const heard = control.heartbeats.length
  process.kill(await until('the agent', () => machine.agentPid()), 'SIGKILL')
  await until('a heartbeat of the next', () => control.heartbeats.slice(heard).some(({ previous }) => previous))
  assert.equal(control.beat?.engine.failure?.code, 'disk_full')
  assert.equal(machine.tryRead('install.log')?.split('$ sh').length, 2)
  assert.deepEqual(machine.engines(), [])
})

test('an engine that runs is left in peace, whatever became of the marks beside it', async () => {
  await world([scripted('python', 'true'), scripted('engine', 'touch "$WHERE/whole"')])
  const machine = machineIn(folder)
  machine.startLoop()
  await until('the engine answered', () => control.answered())
  const [engine] = machine.engines()
  const env = join(folder, readdirSync(folder).find((name) => /^env-\w+$/.test(name)) ?? '')
  rmSync(join(env, '.flightdeck'), { recursive: true })
  process.kill(await until('the agent', () => machine.agentPid()), 'SIGKILL')
  await until('it answers for the next agent', () => control.answered() === 2)
  assert.deepEqual(machine.engines(), [engine])
  assert.equal(existsSync(join(env, 'whole')), true)
})
