import { Link } from '@tanstack/react-router'
import { isOver } from '../../src/core/launch-table.ts'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { Button } from '../parts/button.tsx'
import { Problem } from '../parts/problem.tsx'
import { rangePerHour, usdPerHour } from '../words/money.ts'
import { againAfter } from './again.ts'
import { wizardSearch } from './change-first.ts'
import { useLaunching } from './use-launching.ts'

/** Over a launch that ended without serving: the same once more in one click, with what its failure suggests. */
export function LaunchAgain({ launch }: { readonly launch: LaunchDetail }) {
  const launching = useLaunching()
  if (!isOver(launch.state) || launch.state === 'ended') return null
  const { changes, request } = againAfter(launch)
  const isHopeless = changes.length === 0 && launch.failure?.retry === 'never'
  const isOfPeople = launch.failure?.fault === 'policy' || launch.failure?.fault === 'caller'
  return (
    <div className="note calm">
      <div className="row">
        <span>
          {changes.length === 0 && isOfPeople ? 'Once that is mended: ' : 'What may help: '}
          {changes.length > 0 ? <strong>{changes.join(', ')}</strong> : 'the same once more'}
          <span className="soft">
            {' '}
            · one replica of {request.deployment} more{priceOf(launch)}
          </span>
        </span>
        <span className="row right">
          <Link to="/launch" search={wizardSearch(request) as never} className={isHopeless ? 'button main' : 'button'}>
            Change it first
          </Link>
          <Button
            {...(isHopeless ? {} : { look: 'main' })}
            act="createLaunch"
            busy={launching.isRunning}
            onPress={() => void launching.launch(request)}
          >
            Launch again
          </Button>
        </span>
      </div>
      <Problem of={launching.failure} />
    </div>
  )
}

/** What the offers of the launch cost: the next one is ranked anew, under the same highest price. */
function priceOf({ offers, wish }: LaunchDetail): string {
  const most = wish.maxPricePerHourMicroUsd
  if (most !== null) return ` for ${usdPerHour(most)} at most`
  const prices = offers.map(({ pricePerHourMicroUsd }) => pricePerHourMicroUsd)
  return prices.length === 0 ? '' : `; this one could choose from ${rangePerHour(prices)}`
}
