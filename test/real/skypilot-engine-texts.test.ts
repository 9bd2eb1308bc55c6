import { afterAll, afterEach, beforeAll, test } from 'vitest'
import type { Plane } from '../e2e/plane.ts'
import { engineTextScripts, everyTextIsTold } from '../engine-texts.ts'
import { billIsClosed, onSlurm, startSkyPlane } from './sky-plane.ts'
import { giveBackAll, nothingIsLeft, slurmRig } from './slurm-rig.ts'

const minutes = 60_000

let url: string
let plane: Plane

beforeAll(async () => {
  url = await slurmRig.up()
  plane = await startSkyPlane(url, { scripts: engineTextScripts })
})
afterAll(async () => {
  await plane?.end()
  await slurmRig.down()
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await giveBackAll(plane)
  await nothingIsLeft(url, plane)
})

// A machine whose engine failed is given back, so each text takes one of its own; the server works on four at a time.
test(
  'every text that an engine is known to fail with ends its launch on a machine in Slurm with class, words and remedy',
  async () => {
    for (const launch of await everyTextIsTold(plane, onSlurm('lab/main'), 25 * minutes))
      billIsClosed(await plane.node(launch))
  },
  30 * minutes,
)
