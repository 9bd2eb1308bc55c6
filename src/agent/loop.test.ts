import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'vitest'
import { barePath, loopTools } from '../../test/bare-path.ts'
import { readStat } from './proc.ts'
import { allWith, commandOf, FakeControl, hasEnded, Machine, simEngine, until } from './world-for-tests.ts'

// Here the agent is a few lines of shell that record an engine the way the real one does, and hand the lock on to nobody.
let machine: Machine

/** Starts `engine` in a session of its own, writes engine.pid, and then does `after`. */
const agentScript = (engine: string, after: string, grace: number) => `
cd "$FLIGHTDECK_NODE_DIR"
echo run >> starts
if [ ! -e engine.pid ]; then
  FLIGHTDECK_ENGINE=1 setsid ${engine} 9>&- &
  pid=$!
  set -- $(cut -d')' -f2 /proc/$pid/stat)
  echo "$pid \${20} ${grace}" > engine.pid.new && mv engine.pid.new engine.pid
fi
${after}
`

function machineWith(script: string): void {
  const control = new FakeControl(simEngine())
  control.url = 'http://127.0.0.1:9'
  machine = new Machine(control, { FLIGHTDECK_NODE_BIN: '/bin/sh' })
  const program = join(machine.dir, 'agent.sh')
  writeFileSync(program, script)
  machine.set('FLIGHTDECK_AGENT', program)
}

afterEach(async () => {
  assert.deepEqual(await machine.clean(), [])
})

const recorded = () => until('the record', () => machine.tryRead('engine.pid')?.split(' ')[0])

test('told to end while the agent is dead, it ends the engine all the same', async () => {
  machineWith(agentScript('sleep 300', 'exit 1', 5))
  const loop = machine.startLoop()
  await recorded()
  await until('the agent is dead', () => machine.processes().every((pid) => !commandOf(pid).includes('agent.sh')))
  assert.equal(machine.engines().length, 1)
  loop.kill('SIGTERM')
  await until('the loop has ended', () => hasEnded(loop))
  assert.equal(loop.exitCode, 0)
  assert.deepEqual(machine.processes(), [])
})

test('a machine is ended by the command of its task when its agent has ended for good, and not when the loop is told to end', async () => {
  const ends = (code: string) => {
    machineWith(code)
    const ended = join(machine.dir, 'machine-ended')
    machine.set('FLIGHTDECK_END_SELF', `touch ${ended}`)
    return { loop: machine.startLoop(), ended }
  }
  const forGood = ends('exit 86')
  await until('the loop has ended', () => hasEnded(forGood.loop))
  assert.equal(forGood.loop.exitCode, 0)
  assert.equal(existsSync(forGood.ended), true)
  assert.deepEqual(await machine.clean(), [])

  const told = ends('while :; do sleep 0.1; done')
  await until('the agent runs', () => machine.processes().some((pid) => commandOf(pid).includes('agent.sh')))
  told.loop.kill('SIGTERM')
  await until('the loop has ended', () => hasEnded(told.loop))
  assert.equal(existsSync(told.ended), false)
})

test('an engine that ignores SIGTERM is killed when its grace is over, with a child in another session', async () => {
  const engine = `sh -c 'trap "" TERM; setsid sh -c "trap \\"\\" TERM; while :; do sleep 0.1; done" & while :; do sleep 0.1; done'`
  machineWith(agentScript(engine, 'while :; do sleep 0.1; done', 1))
  const loop = machine.startLoop()
  await recorded()
  await until('both run', () => new Set(machine.engines().map((pid) => readStat(pid)?.group)).size >= 2)
  const began = performance.now()
  loop.kill('SIGINT')
  await until('the loop has ended', () => hasEnded(loop))
  assert.ok(performance.now() - began >= 1_000, 'the grace was given')
  assert.equal(loop.exitCode, 0)
  assert.deepEqual(machine.processes(), [])
})

// What setting a title does to a program: its environment can no longer be read. vLLM's core is one of those.
const unmarked: [string, string][] = [
  ['its child in another session', 'env -i sh -c "setsid sleep 300NNN & exec sleep 300"'],
  ['an orphan in another session, told by where it prints', 'env -i sh -c "setsid sleep 300NNN & exit 0"'],
  ['an orphan that prints nowhere, told by its session', 'env -i sh -c "sleep 300NNN >/dev/null 2>&1 & exit 0"'],
]

test.each(unmarked)('an engine whose environment is gone is found all the same: %s', async (_, engine) => {
  const seconds = `300${process.pid}`
  const sleepers = () => allWith(`sleep\0${seconds}\0`)
  machineWith(agentScript(engine.replace('300NNN', seconds), 'while :; do sleep 0.1; done', 1))
  const loop = machine.startLoop()
  await recorded()
  await until('it runs without its mark', () => sleepers().length === 1 && machine.engines().length === 0)
  loop.kill('SIGTERM')
  await until('the loop has ended', () => hasEnded(loop))
  assert.deepEqual(sleepers(), [])
  assert.equal(machine.tryRead('engine.pid'), null)
})

test('nothing that belongs to others is ended: neither who looks into the folder nor who shares our parent', async () => {
  machineWith(agentScript('sleep 300', 'while :; do sleep 0.1; done', 1))
  const loop = machine.startLoop()
  await recorded()
  const reader = spawn('sh', ['-c', 'exec sleep 300 <engine.pid'], { cwd: machine.dir, stdio: 'ignore' })
  loop.kill('SIGTERM')
  await until('the loop has ended', () => hasEnded(loop))
  assert.equal(reader.exitCode ?? reader.signalCode, null)
  reader.kill('SIGKILL')
  await until('the reader has ended', () => hasEnded(reader))
})

test('an agent that hangs is killed and does not keep the end from coming', async () => {
  machineWith(agentScript('sleep 300', 'trap "" TERM; while :; do sleep 0.1; done', 1))
  const loop = machine.startLoop()
  await recorded()
  loop.kill('SIGHUP')
  await until('the loop has ended', () => hasEnded(loop))
  assert.deepEqual(machine.processes(), [])
})

test('the exit code 86 is the end for good: nothing is started again, and the engine goes', async () => {
  machineWith(agentScript('sleep 300', 'exit 86', 5))
  const loop = machine.startLoop()
  await until('the loop has ended', () => hasEnded(loop))
  assert.equal(loop.exitCode, 0)
  assert.equal(machine.read('starts'), 'run\n')
  assert.deepEqual(machine.processes(), [])
})

test('any other end of the agent starts it again, and the engine is left alone', async () => {
  machineWith(agentScript('sleep 300', '[ $(wc -l < starts) -ge 3 ] && exec sleep 300; exit 1', 5))
  machine.startLoop()
  await until('the third start', () => machine.tryRead('starts') === 'run\nrun\nrun\n')
  assert.equal(machine.engines().filter((pid) => commandOf(pid).includes('300')).length, 1)
})

test('a second loop under the same name ends at once and harms nothing', async () => {
  machineWith(agentScript('sleep 300', 'while :; do sleep 0.1; done', 5))
  machine.startLoop()
  const engine = await recorded()
  const second = machine.startLoop()
  await until('the second has ended', () => hasEnded(second))
  assert.equal(second.exitCode, 0)
  assert.equal(machine.read('starts'), 'run\n')
  assert.deepEqual(machine.engines().map(String), [engine])
})

/** What the loop needs, and the script that plays the agent. */
const tools = [...loopTools, 'cat', 'cut', 'setsid', 'wc']
const waits = 'exec sleep 300'
const starts = () => machine.tryRead('starts')?.trim().split('\n').length ?? 0

describe.each([
  { how: 'with flock(1)', without: [] },
  { how: 'without flock(1)', without: ['flock'] },
])('the lock, $how', ({ without }) => {
  const machineHere = () => {
    machineWith(agentScript('sleep 300', waits, 1))
    machine.set(
      'PATH',
      barePath(
        machine.dir,
        tools.filter((tool) => !without.includes(tool)),
      ),
    )
  }

  test('of many jobs of one machine that start at once one starts an agent, and the others end with nothing done', async () => {
    machineHere()
    const loops = Array.from({ length: 8 }, () => machine.startLoop())
    await until('all but one have ended', () => loops.filter(hasEnded).length === loops.length - 1)
    await recorded()
    assert.equal(starts(), 1)
    for (const loop of loops.filter(hasEnded)) assert.equal(loop.exitCode, 0)
  })

  test('a second job does nothing while an agent lives whose loop was killed, and takes over once it is dead', async () => {
    machineHere()
    const first = machine.startLoop()
    await recorded()
    const agent = Number((await until('the agent is known', () => machine.tryRead('agent.pid'))).split(' ')[0])
    first.kill('SIGKILL')
    await until('the loop is dead', () => hasEnded(first))
    const second = machine.startLoop()
    await until('the second has ended', () => hasEnded(second))
    assert.equal(second.exitCode, 0)
    assert.equal(starts(), 1)
    process.kill(agent, 'SIGKILL')
    await until('the agent is dead', () => readStat(agent) === null)
    machine.startLoop()
    await until('a second agent', () => starts() === 2)
  })
})

test('a number that belongs to another process by now is not signalled', async () => {
  machineWith(agentScript('sleep 300', 'while :; do sleep 0.1; done', 1))
  const loop = machine.startLoop()
  await recorded()
  const bystander = machine.startBystander()
  writeFileSync(join(machine.dir, 'engine.pid'), `${bystander.pid} 1 1\n`)
  loop.kill('SIGTERM')
  await until('the loop has ended', () => hasEnded(loop))
  assert.equal(bystander.exitCode ?? bystander.signalCode, null)
  bystander.kill('SIGKILL')
  await until('the bystander has ended', () => hasEnded(bystander))
})
