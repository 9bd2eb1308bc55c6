import { useState } from 'react'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { useFleet } from '../live/fleet.ts'
import { Button } from '../parts/button.tsx'
import { Confirm } from '../parts/dialog.tsx'
import { Money } from '../parts/money.tsx'
import { machineOf, placeOf } from '../words/offers.ts'

/** Asks first, and says what it ends. */
export function CancelLaunch({ launch }: { readonly launch: LaunchDetail }) {
  const [asking, setAsking] = useState(false)
  if (!launch.actions.includes('cancel') && !asking) return null
  return (
    <>
      <Button danger act="cancelLaunch" onPress={() => setAsking(true)}>
        Cancel
      </Button>
      {asking && (
        <Confirm
          title={`Cancel the launch of ${launch.model}?`}
          verb="Cancel the launch"
          act="cancelLaunch"
          call={{ params: { id: launch.id } }}
          danger
          onClose={() => setAsking(false)}
        >
          <WhatEnds launch={launch} />
        </Confirm>
      )}
    </>
  )
}

function WhatEnds({ launch }: { readonly launch: LaunchDetail }) {
  const inFlight = useFleet()?.find(({ id }) => id === launch.nodeId)?.inFlight ?? 0
  const machines = launch.attempts.filter(({ nodeState }) => nodeState !== 'gone')
  return (
    <ul>
      {machines.length === 0 && <li>No machine was asked for yet, so nothing is billed.</li>}
      {machines.map(({ id, nodeName, nodeState, offer }) => (
        <li key={id}>
          Ends the machine {nodeName} ({nodeState}), {machineOf(offer)} at {placeOf(offer)}:{' '}
          <Money microUsd={offer.pricePerHourMicroUsd} perHour /> until the cloud says that it is gone.
        </li>
      ))}
      {launch.state === 'live' && (
        <li>It serves: it gets no new requests, and {inFlight} in flight may finish first.</li>
      )}
      <li>The deployment {launch.deployment} wants one replica less from then on, and starts no other in its place.</li>
    </ul>
  )
}
