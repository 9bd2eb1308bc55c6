import { afterAll, beforeAll } from 'vitest'
import { programAt } from '../bare-path.ts'
import { setUpSuite } from '../set-up-suite.ts'
import { type SetUpWorld, startSetUpWorld } from '../set-up-world.ts'
import { installFromDebian } from './debian-packages.ts'
import { putRealOne } from './real-programs.ts'

/** Each program, and the package that brings it. */
const wanted = {
  curl: 'curl',
  wget: 'wget',
  python3: 'python3',
  shasum: 'perl',
  openssl: 'openssl',
}

let world: SetUpWorld
beforeAll(async () => {
  const missing = Object.entries(wanted).flatMap(([program, name]) => (programAt(program) === null ? [name] : []))
  if (missing.length > 0) installFromDebian(...missing)
  world = await startSetUpWorld(putRealOne)
})
afterAll(() => world?.end())

setUpSuite(() => world)
