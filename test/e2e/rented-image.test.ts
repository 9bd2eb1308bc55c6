import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { ledgerIsWhole, type Plane, scriptedEngine, startPlane } from './plane.ts'
import { RentedMachines } from './rented-machines.ts'

const image = 'docker:vllm/vllm-openai:v0.32.0'
const machines = new RentedMachines()
const asked = join(machines.home, 'asked-of-vllm')

let plane: Plane
beforeAll(async () => {
  // What the image brings: an engine that is started by its name.
  const vllm = `#!/bin/sh\necho "$1" >>"${asked}"\nshift\nexec ${scriptedEngine.join(' ')} "$@"\n`
  writeFileSync(join(machines.home, 'vllm'), vllm, { mode: 0o755 })
  machines.sky.faults.infra = ['aws']
  plane = await startPlane({
    scripts: { small: {} },
    local: { engines: { vllm: {} } },
    config: {
      skypilot: {
        url: await machines.start(),
        clouds: { aws: { nodeBin: process.execPath, onThisHost: true, image } },
      },
    },
  })
})
afterAll(async () => {
  await plane?.end()
  await machines.stop()
})

const wish = { clouds: ['aws'], gpus: ['H100'], gpuCount: 1, spot: 'never' as const }

test('where the cloud runs an image nothing is installed: the engine that the image brings serves', async () => {
  const reply = await plane.client.createLaunch({ body: { model: 'small', wish, dryRun: true } })
  const plan = 'dryRun' in reply ? reply.plan : null
  expect(plan?.offers[0]?.setups.does).toMatchObject({ way: 'image', name: image })

  const launch = await plane.launched('small', { wish })
  const live = await plane.reaches(launch.id, ['live'], 90_000)
  const task = parse(String(machines.sky.posted.at(-1)?.['task']))
  expect(task.resources.image_id).toBe(image)
  expect(live.phases.map(({ phase }) => phase).filter((phase) => phase.endsWith('_install'))).toEqual([])
  expect(readFileSync(asked, 'utf8')).toBe('serve\n')
  expect((await plane.chat('small', await plane.key())).status).toBe(200)

  await plane.client.cancelLaunch({ params: { id: live.id } })
  const over = await plane.reaches(live.id, ['ended', 'cancelled'], 90_000)
  ledgerIsWhole(await plane.node(over))
  expect(await plane.machines()).toEqual(new Map())
}, 200_000)
