import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { ledgerIsWhole, type Plane, scriptedEngine, startPlane, until } from './plane.ts'
import { RentedMachines } from './rented-machines.ts'

const machines = new RentedMachines()
/** While it is there, installers download for ever, one process in a session of its own. */
const hold = join(machines.home, 'hold')
const homes = join(machines.home, 'homes-of-installers')

/** Where uv is on a machine that SkyPilot set up, and nowhere else. It installs an engine that the environment alone has. */
const installer = `#!/bin/sh
echo "Downloading it (1.0MiB)"
head -c 1000000 /dev/zero >"$2/it"
echo "$HOME" >>"${homes}"
if [ -e "${hold}" ]; then
  setsid tail -f /dev/null &
  tail -f /dev/null
fi
mkdir -p "$2/bin"
printf '#!/bin/sh\\nexec ${scriptedEngine.join(' ')} "$@"\\n' >"$2/bin/serve"
chmod 755 "$2/bin/serve"
echo " Downloaded it"
`

let plane: Plane
beforeAll(async () => {
  const bin = join(machines.home, '.local', 'bin')
  mkdirSync(bin, { recursive: true })
  writeFileSync(join(bin, 'fd-installer'), installer, { mode: 0o755 })
  const stages = [
    { stage: 'python', title: 'a folder', commands: [['true']] },
    { stage: 'engine', title: 'the engine', commands: [['fd-installer', 'into', '{env}']] },
  ]
  plane = await startPlane({
    scripts: { small: {} },
    config: {
      recipes: { short: { engine: 'vllm', command: ['{env}/bin/serve'], stages } },
      skypilot: {
        url: await machines.start(),
        clouds: { slurm: { nodeBin: process.execPath, onThisHost: true, recipe: 'short' } },
      },
    },
  })
})
afterAll(async () => {
  await plane?.end()
  await machines.stop()
})

const launched = () => plane.launched('small', { wish: { clouds: ['slurm'], gpus: ['H100'], gpuCount: 1 } })
const shown = (id: string): Promise<LaunchDetail> => plane.client.showLaunch({ params: { id } })

/** Neither a process nor what was installed is left, and the bill is closed. */
async function nothingIsLeft(launch: LaunchDetail): Promise<void> {
  const node = await plane.node(launch)
  expect(node).toMatchObject({ state: 'gone', billed: 'no' })
  ledgerIsWhole(node)
  await until(
    async () => (await plane.machines()).size === 0,
    30_000,
    () => 'a process of the machine runs on',
  )
  expect(existsSync(join(machines.home, '.flightdeck', node.name, 'recipe'))).toBe(false)
  expect(machines.sky.machines.size).toBe(0)
}

test('a rented machine joins, installs in stages that are shown, serves, and is given back with all that was installed', async () => {
  const live = await plane.reaches((await launched()).id, ['live'], 90_000)
  const order = live.phases.map(({ phase }) => phase)
  const places = (['joined', 'python_install', 'engine_install', 'engine_start'] as const).map((phase) =>
    order.indexOf(phase),
  )
  expect(places).toEqual(places.toSorted((a, b) => a - b))
  expect(places).not.toContain(-1)
  const installed = live.phases.find(({ phase }) => phase === 'engine_install')
  expect(installed).toMatchObject({ percent: 100, bytes: expect.any(Number), bytesPerS: expect.any(Number) })
  expect(installed?.bytes).toBeGreaterThan(900_000)
  expect(readFileSync(homes, 'utf8').trim()).toBe(machines.home)
  expect((await plane.chat('small', await plane.key())).status).toBe(200)

  await plane.client.cancelLaunch({ params: { id: live.id } })
  await nothingIsLeft(await plane.reaches(live.id, ['ended', 'cancelled'], 90_000))
}, 200_000)

test('cancelled in the middle of a stage it leaves no installer, not even one in a session of its own', async () => {
  writeFileSync(hold, '')
  const launch = await launched()
  const installers = async () => [...(await plane.running('/dev/null')).values()].flat().length
  await until(
    async () => (await installers()) === 2 && (await shown(launch.id)).phase === 'engine_install',
    90_000,
    () => 'nothing is installed',
  )
  await plane.client.cancelLaunch({ params: { id: launch.id } })
  await nothingIsLeft(await plane.reaches(launch.id, ['cancelled'], 90_000))
  rmSync(hold)
}, 200_000)
