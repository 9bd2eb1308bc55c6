import { enrol, freeClaimsOf, recordPass } from '../store/claims.ts'
import type { Store } from '../store/database.ts'
import { resumeAfterGap } from '../store/gap.ts'
import { disarmAfterLongAway } from '../store/pause.ts'
import type { ControlDeps } from './context.ts'
import { tickMs } from './continuity.ts'
import { deploymentLoop } from './deployment.ts'
import { Driver, type DriverDeps, type Loop } from './driver.ts'
import { healthLoop } from './health.ts'
import { launchLoop } from './launch.ts'
import { nodeLoop } from './node.ts'
import { firstOffers, offersLoop } from './offers.ts'
import { samplesLoop } from './samples.ts'
import { sightLoop } from './sight.ts'
import { spendLoop } from './spend.ts'
import { keepSteps } from './steps.ts'
import { sweepLoop } from './sweep.ts'

/** Everything that runs by itself. A new loop is added here and nowhere else. */
export function allLoops(deps: ControlDeps): Loop[] {
  return [
    launchLoop(deps),
    nodeLoop(deps),
    sightLoop(deps),
    healthLoop(deps),
    deploymentLoop(deps),
    sweepLoop(deps),
    offersLoop(deps),
    spendLoop(deps),
    samplesLoop(deps),
  ]
}

/** Starts all loops; nudges of any server reach them through the database. */
export async function startLoops(
  store: Store,
  given: Omit<ControlDeps, 'fleetSize'>,
  driver: Pick<DriverDeps, 'server' | 'observe'>,
) {
  const deps: ControlDeps = { ...given, fleetSize: store.fleetSize }
  const now = deps.clock.now()
  await disarmAfterLongAway(store.db, now)
  await resumeAfterGap(store.db, now)
  await freeClaimsOf(store.db, driver.server, now)
  for (const cloud of deps.clouds.keys())
    for (const loop of ['sight', 'sweep', 'offers']) await enrol(store.db, loop, cloud, now, cloud)
  for (const loop of ['health', 'spend', 'samples']) await enrol(store.db, loop, loop, now)
  const offersKnown = firstOffers(deps)
  const { clock, log, continuity } = deps
  const shared = {
    db: store.db,
    clock,
    log,
    continuity,
    realms: [...deps.clouds.keys()],
    ...driver,
  }
  const steps = keepSteps(deps)
  const loops = allLoops({ ...deps, clock: continuity.knownTo(clock) })
  // A loop is shown from its start on, also one that has nothing to do yet, or never gets to do it.
  for (const { name: loop, everyMs } of loops)
    await recordPass(store.db, { server: driver.server, loop, at: now, tookMs: 0, moved: 0, everyMs, error: null })
  const driven = loops.map((loop) => new Driver(shared, loop))
  const unlisten = await store.listen((topic) => {
    if (topic === 'status' || topic === 'gap') nudgeAll()
    else if (topic.startsWith('nudge:')) driven.find(({ loop }) => loop === topic.slice('nudge:'.length))?.nudge()
  })
  function nudgeAll(): void {
    for (const loop of driven) loop.nudge()
  }
  const ticks = setInterval(() => continuity.tick(clock.now(), clock.monotonicMs()), tickMs)
  await offersKnown
  return {
    async stop(): Promise<void> {
      clearInterval(ticks)
      await unlisten()
      await Promise.all(driven.map((loop) => loop.stop()))
      await steps.stop()
    },
  }
}
